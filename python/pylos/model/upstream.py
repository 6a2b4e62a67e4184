"""`[upstream.NAME]`: the servers that answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from pylos.model.base import Table, branch, defaults_of, one_of_shapes, wrong
from pylos.model.tls import File, Files, Key
from pylos.model.units import Duration, DurationOrZero, Interval, Share, Status

Times = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, Field(min_length=1)]
Statuses = Annotated[list[Status], Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Target(Table):
    """One server."""

    url: str
    """Its address, as in `targets`.

    Required. Example: `{ url = "http://10.0.0.1:8000" }`.
    """

    weight: Weight = 1
    """Its share of the requests, compared with those of the others; 0: it gets nothing new.

    Default: 1. Example: `weight = 3`.
    """

    zone: Name | None = None
    """Where it stands. Those in the `zone` of `[pylos]` come first.

    Default: absent. Example: `zone = "b"`.
    """

    priority: Annotated[int, Field(ge=0, le=100)] = 0
    """The smaller one comes first. When fewer than seven tenths of those that come first are usable, the next ones take
    over a part of their requests.

    Default: 0. Example: `priority = 1`.
    """

    backup: bool = False
    """It gets requests only while no other one is usable.

    Default: false. Example: `backup = true`.
    """


Algorithm = Literal["p2c", "least_requests", "peak_ewma", "round_robin", "random", "first", "ring_hash", "maglev"]


def gateway_errors() -> list[int | str]:
    """Give what a server says that has none to ask itself."""
    return ["502-504"]


class Balance(Table):
    """Sends what is alike to the same target."""

    hash: Annotated[str, Field(min_length=1)] = "client.ip"
    """What of a request decides: `client.ip`, `client.id`, `client.claims.NAME`, `request.path`, `request.query`,
    `request.host`, `request.headers.NAME`, `request.cookies.NAME`.

    A request that has nothing of it goes to any target. Default: `"client.ip"`. Example: `hash = "client.id"`.
    """

    algorithm: Literal["ring_hash", "maglev"] = "maglev"
    """`"maglev"` (a table, with even shares) or `"ring_hash"` (a ring, where no other keys move when a target leaves).

    Default: `"maglev"`. Example: `algorithm = "ring_hash"`.
    """

    bound: Annotated[float, Field(ge=1, le=1000)] | None = None
    """No target has more than so many times the mean of requests under way: what is too much goes to the next one.

    Default: absent, no bound. Example: `bound = 1.25`.
    """


class Outliers(Table):
    """When a target is left alone for what its answers are like.

    Connections that fail, and requests that get no answer, are failures always.
    """

    errors: Times = 5
    """Failures in a row.

    Default: 5. Example: `errors = 3`.
    """

    share: Share | None = None
    """The share of failures, of `requests` at least, within `over`.

    Default: absent, it does not count. Example: `share = "50%"`.
    """

    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Requests from which on `share` says something.

    Default: 20. Example: `requests = 100`.
    """

    over: Duration = "10s"
    """The time in which they are counted.

    Default: `"10s"`. Example: `over = "1m"`.
    """

    eject: Duration = "30s"
    """How long a target is left alone; the second time in a row twice as long, and so on. A health check that finds it
    well ends that at once.

    Default: `"30s"`. Example: `eject = "10s"`.
    """

    longest: Duration = "5m"
    """The longest time that it is left alone.

    Default: `"5m"`. Example: `longest = "1m"`.
    """

    max_ejected: Share = "50%"
    """The part of the targets that may be left alone at once: at least one of several, and never the last one.

    Default: `"50%"`. Example: `max_ejected = "10%"`.
    """

    statuses: Statuses = Field(default_factory=gateway_errors)
    """Answers that are failures, too.

    Default: `["502-504"]`. Example: `statuses = ["500-599"]`.
    """


class Health(Table):
    """An active check. With `path`: GET, no redirect followed. Without: whether a connection can be made."""

    path: str | None = None
    """What is asked for.

    Default: absent, the connection itself is the check. Example: `path = "/healthz"`.
    """

    host: Annotated[str, Field(min_length=1)] | None = None
    """The Host that is asked with. Only with `path`.

    Default: absent, as `host` of the upstream says; where that is the client's, the target's own.
    Example: `host = "shop.internal"`.
    """

    headers: dict[str, str] = Field(default_factory=dict)
    """Further fields of the request. Only with `path`.

    Default: none. Example: `headers = { x-probe = "pylos" }`.
    """

    statuses: Statuses | None = None
    """The answers that are healthy. Only with `path`.

    Default: absent, `["200-299"]`. Example: `statuses = ["200-299", "401"]`.
    """

    body: Annotated[str, Field(min_length=1)] | None = None
    """What the first 64 KiB of the answer's body have to have in them: a text, or `re:` and a regular expression. Only
    with `path`.

    Default: absent, nothing. Example: `body = "all systems go"`.
    """

    send: str | None = None
    """What is sent over the connection. Only without `path`.

    Default: absent, nothing. Example: `send = "PING\\r\\n"`.
    """

    expect: str | None = None
    """What has to come back, at the front. Only without `path`.

    Default: absent, nothing. Example: `expect = "+PONG"`.
    """

    every: Interval = "5s"
    """The time from one check of a target to the next, and up to a tenth less.

    Default: `"5s"`. Example: `every = "2s"`.
    """

    fast: Interval | None = None
    """Likewise while the results speak against what is held true: so a target is out, and back, sooner.

    Default: absent, a quarter of `every`, but half a second at least. Example: `fast = "200ms"`.
    """

    timeout: Duration = "2s"
    """How long an answer may take.

    Default: `"2s"`. Example: `timeout = "500ms"`.
    """

    fall: Times = 3
    """Failures in a row that take a target out.

    Default: 3. Example: `fall = 2`.
    """

    rise: Times = 2
    """Successes in a row that bring it back.

    Default: 2. Example: `rise = 1`.
    """

    @model_validator(mode="after")
    def fit(self) -> Health:
        """Refuse keys of the other kind of check."""
        if self.path is None:
            others: tuple[str, ...] = ("host", "headers", "statuses", "body")
            beside, hint = "without", "add `path`"
        else:
            others = ("send", "expect")
            beside, hint = "beside", "`body` looks for a text in the answer"
        for key in others:
            if key in self.model_fields_set:
                raise wrong("P108", f"does nothing {beside} `path`", hint=hint, keys=[key, "path"])
        return self


class Pool(Table):
    """Connections to the targets, kept for the next request. Counts are per target and worker."""

    max_idle: Count = 4096
    """Idle connections that are kept; 0 keeps none.

    It should be no less than the requests in flight, else connections are made and closed all the time.
    Default: 4096. Example: `max_idle = 64`.
    """

    max_connections: Count = 0
    """Connections to a target, idle and busy; 0 is no bound.

    Beyond it a request is answered with 503. Default: 0. Example: `max_connections = 200`.
    """

    idle: Duration = "60s"
    """How long an idle connection is kept. It should be less than the server keeps it.

    Default: `"60s"`. Example: `idle = "4s"` (a server that closes after 5 s).
    """

    max_age: Duration = "1h"
    """The age after which a connection is not used again.

    Default: `"1h"`. Example: `max_age = "5m"`.
    """


class UpstreamTimeouts(Table):
    """How long a target is waited for."""

    connect: Duration = "5s"
    """Until a connection stands.

    Then the next target is tried, at last the answer is 504. Default: `"5s"`. Example: `connect = "500ms"`.
    """

    first_byte: Duration = "60s"
    """From the end of the request to the head of the answer.

    Then the answer is 504. Default: `"60s"`. Example: `first_byte = "5m"`.
    """

    idle: Duration = "60s"
    """Between two pieces of an answer's body.

    Then the answer is cut, so that the client sees that it is not whole. Default: `"60s"`. Example: `idle = "10m"`.
    """

    send_idle: Duration = "30s"
    """A target that does not read the request.

    Then no more of it is sent: an answer that is already there is passed on, else it is a failure of the upstream.
    Default: `"30s"`. Example: `send_idle = "1m"`.
    """


class UpstreamTls(Table):
    """By which rules targets with `https://` are spoken to."""

    ca: Files | None = None
    """Files with the certificates of those who vouch for the targets.

    Default: absent, whom the system trusts. Example: `ca = "internal-ca.pem"`.
    """

    server_name: Annotated[str, Field(min_length=1)] | None = None
    """The name that the targets' certificates have to be for, and that they are asked for by SNI (RFC 6066).

    Default: absent, that of each target's URL. Example: `server_name = "billing.internal"`.
    """

    cert: File | None = None
    """A file with the certificate that is shown to targets which ask for one, behind it the intermediate ones.

    Default: absent, none is shown. Example: `cert = "gateway.pem"`.
    """

    key: Key | None = None
    """Its private key: a file, as in `cert`, or a secret.

    Default: absent, the file of `cert` holds it too. Example: `key = { file = "/run/secrets/gateway.key" }`.
    """

    insecure_skip_verify: bool = False
    """Takes whatever certificate a target shows: whoever is on the way can read and change everything.

    Default: false. Example: `insecure_skip_verify = true`.
    """

    @model_validator(mode="after")
    def fit(self) -> UpstreamTls:
        """Refuse keys that contradict each other."""
        if self.key is not None and self.cert is None:
            hint = "add `cert`, or take `key` out"
            raise wrong("P108", "does nothing without `cert`", hint=hint, keys=["key", "cert"])
        if self.insecure_skip_verify and self.ca is not None:
            hint = "take `insecure_skip_verify` out: with `ca` the targets are verified by it"
            keys = ["insecure_skip_verify", "ca"]
            raise wrong("P108", "nobody is verified, so `ca` does nothing", hint=hint, keys=keys)
        return self


class Upstream(Table):
    """The servers that answer, as one name."""

    targets: Annotated[
        list[
            Annotated[
                Annotated[str, Tag(branch("url"))] | Annotated[Target, Tag(branch("table"))],
                one_of_shapes("must be a string or a table", url=str, table=dict),
            ]
        ],
        Field(min_length=1),
    ]
    """The servers: `"http://host:port"`, `"https://host:port"`, `"host:port"`, `"unix:/path"`, or a table with `url`.

    In a table there are also its `weight`, `zone`, `priority`, and whether it is a `backup`. A name is looked up again
    every 10 s. Required. Example: `targets = ["http://10.0.0.1:8000", "unix:/run/app.sock"]`.
    """

    balance: Annotated[
        Annotated[Algorithm, Tag(branch("algorithm"))] | Annotated[Balance, Tag(branch("table"))],
        one_of_shapes("must be a string or a table", algorithm=str, table=dict),
    ] = "p2c"
    """Which target is next, of those that are usable.

    `"p2c"`: of two by chance the one with fewer requests under way; `"least_requests"`: the one with the fewest;
    `"peak_ewma"`: of two the one whose answers cost less time; `"round_robin"`: one after the other; `"random"`;
    `"first"`: the first of the list, the others stand by; `"ring_hash"` and `"maglev"`: the same one for what is
    alike, by the client's address or, in a table, by what `hash` says. All workers count together, and all but `first`
    look at weights. Default: `"p2c"`. Example: `balance = "least_requests"`.
    """

    slow_start: DurationOrZero = "0s"
    """How long a target that is new, or back, takes until it has its whole share, from a tenth of it on.

    Default: `"0s"`, it has it at once. Example: `slow_start = "30s"`.
    """

    panic_threshold: Share = "0%"
    """Where fewer of the targets are usable, all are used, whether they are well or not: few would sink under what all
    had to do. `"0%"` is never.

    Default: `"0%"`. Example: `panic_threshold = "50%"`.
    """

    outliers: Annotated[
        Annotated[Outliers, Tag(branch("table"))] | Annotated[Literal[False], Tag(branch("off"))],
        one_of_shapes("must be a table or false", table=dict, off=lambda value: value is False),
    ] = Field(default_factory=defaults_of(Outliers))
    """When a target is left alone for a while for what its answers are like, or `false` for never.

    Default: that of each key. Example: `outliers = { errors = 3, eject = "10s" }`.
    """

    max_requests: Count = 0
    """Requests that a target has at once, of all workers; 0 is no bound.

    Where all have as many, a request is answered with 503. Default: 0. Example: `max_requests = 200`.
    """

    health: (
        Annotated[
            Annotated[Health, Tag(branch("table"))] | Annotated[Literal[False], Tag(branch("off"))],
            one_of_shapes("must be a table or false", table=dict, off=lambda value: value is False),
        ]
        | None
    ) = None
    """An active check of every target, or `false` for none.

    Without it a target is still taken out for a while when it cannot be connected to. Default: none.
    Example: `health = { path = "/healthz", every = "2s" }`.
    """

    host: Annotated[str, Field(min_length=1)] = "preserve"
    """The Host that targets see: `"preserve"` (the client's), `"target"` (the target's own), or a name.

    Default: `"preserve"`. Example: `host = "shop.internal"`.
    """

    tls: UpstreamTls | None = None
    """By which rules targets with `https://` are spoken to. Their certificates are verified, unless
    `insecure_skip_verify` says otherwise.

    Default: absent, what each key of it has. Example: `tls = { ca = "internal-ca.pem" }`.
    """

    pool: Pool = Field(default_factory=defaults_of(Pool))
    """Connections kept for the next request. Default: that of each key. Example: `pool = { idle = "4s" }`."""

    timeouts: UpstreamTimeouts = Field(default_factory=defaults_of(UpstreamTimeouts))
    """How long a target is waited for. Default: that of each key. Example: `timeouts = { connect = "500ms" }`."""

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """

    @model_validator(mode="after")
    def encrypt(self) -> Upstream:
        """Refuse rules for what no target does."""
        if self.tls is not None and not any(is_encrypted(target) for target in self.targets):
            hint = 'a target with TLS is written "https://host:port"'
            raise wrong("P108", "no target has `https://`", hint=hint, keys=["tls", "targets"])
        return self


def is_encrypted(target: object) -> bool:
    """Whether TLS is spoken to a target."""
    url = target.url if isinstance(target, Target) else target
    return isinstance(url, str) and url.lower().startswith("https://")
