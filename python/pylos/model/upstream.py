"""`[upstream.NAME]`: the servers that answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from pylos.model.base import Table, branch, defaults_of, one_of_shapes, wrong
from pylos.model.tls import File, Files, Key
from pylos.model.units import Duration, Interval

Times = Annotated[int, Field(ge=1, le=1000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Target(Table):
    """One server."""

    url: str
    """Its address, as in `targets`.

    Required. Example: `{ url = "http://10.0.0.1:8000" }`.
    """


class Health(Table):
    """An active check: GET, no redirect followed, every answer but 2xx is a failure."""

    path: str
    """What is asked for.

    Required. Example: `path = "/healthz"`.
    """

    every: Interval = "5s"
    """The time from one check of a target to the next.

    Default: `"5s"`. Example: `every = "2s"`.
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

    A name is looked up again every 10 s. Required.
    Example: `targets = ["http://10.0.0.1:8000", "unix:/run/app.sock"]`.
    """

    balance: Literal["round_robin"] = "round_robin"
    """Which target is next: `"round_robin"`, one after the other.

    Default: `"round_robin"`. Example: `balance = "round_robin"`.
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
