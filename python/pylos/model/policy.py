"""`[policy.NAME]`: what is asked of requests, and what is changed. `type` says which of the tables below it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag

from pylos.model.base import OneOrMany, Table, branch, one_of_shapes
from pylos.model.rate import OneOrManyRates
from pylos.model.secret import Secret
from pylos.model.units import BodySize, PolicyTimeout

FieldValue = Annotated[
    Annotated[str, Tag(branch("text"))] | Annotated[Secret, Tag(branch("secret"))],
    one_of_shapes("must be a string or a secret, a table of `file` or `env`", text=str, secret=dict),
]
"""What a field holds: in the file itself, or where the file says."""


class FieldEdits(Table):
    """Changes of a message's fields, in this order: remove, set, add."""

    remove: list[str] = Field(default_factory=list)
    """Fields that are taken away.

    Default: none. Example: `remove = ["x-debug"]`.
    """

    set: dict[str, FieldValue] = Field(default_factory=dict)
    """Fields that are written in place of those of the same name; a value may be a secret.

    Default: none. Example: `set = { x-served-by = "pylos" }`.
    """

    add: dict[str, FieldValue] = Field(default_factory=dict)
    """Fields that are written after those of the same name; a value may be a secret.

    Default: none. Example: `add = { vary = "Accept" }`.
    """


class Acting(Table):
    """What policies of every type have that do something themselves."""

    type: str
    """Which table of this page it is. Required. Example: `type = "filter"`."""

    enforce: Annotated[int, Field(ge=0, le=100)] = 100
    """Percent of the requests for which it acts; for the others it is recorded what it would have done.

    0 is a dry run. A policy that `[pylos] require` names has 100. Default: 100. Example: `enforce = 10`.
    """

    if_: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="if")
    """An expression in CEL over `request` and `client`: for a request for which it does not hold, the policy does
    nothing.

    In Python it is written `if_`. Default: absent, it acts for all. Example: `if = "request.method == 'POST'"`.
    """

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """


class Headers(Acting):
    """Changes the fields of requests and answers."""

    type: Literal["headers"] = "headers"
    """`"headers"`. Required in a file. Example: `type = "headers"`."""

    request: FieldEdits = Field(default_factory=lambda: FieldEdits.model_validate({}))
    """Changes on the way to the upstream.

    Default: none. Example: `request = { set = { x-tenant = "shop" } }`.
    """

    response: FieldEdits = Field(default_factory=lambda: FieldEdits.model_validate({}))
    """Changes on the way to the client.

    Default: none. Example: `response = { remove = ["x-runtime"] }`.
    """

    preset: Literal["security"] | None = None
    """`"security"` sets what every site should tell a browser: nosniff, frame options, referrer policy, HSTS on HTTPS.

    Where this policy names the same field itself, its own word counts. Default: absent. Example: `preset = "security"`.
    """


class Filter(Acting):
    """Lets requests pass or refuses them, by what they are."""

    type: Literal["filter"] = "filter"
    """`"filter"`. Required in a file. Example: `type = "filter"`."""

    allow_ip: list[str] = Field(default_factory=list)
    """Addresses and networks; all other clients are refused with 403.

    Default: empty, all may pass. Example: `allow_ip = ["10.0.0.0/8"]`.
    """

    deny_ip: list[str] = Field(default_factory=list)
    """Addresses and networks that are refused with 403, also when `allow_ip` names them.

    Default: none. Example: `deny_ip = ["203.0.113.0/24"]`.
    """

    deny_path: list[str] = Field(default_factory=list)
    """Paths, written as in a route's `match`, that are refused with 403.

    Default: none. Example: `deny_path = ["/.git/{rest:path}"]`.
    """

    allow_methods: list[str] = Field(default_factory=list)
    """Methods; all others are refused with 405.

    Default: empty, all may pass. Example: `allow_methods = ["GET", "HEAD"]`.
    """

    max_body: BodySize | None = None
    """The largest request body; a larger one is refused with 413.

    Default: no bound. Example: `max_body = "10MiB"`.
    """


class RateLimit(Acting):
    """Limits how many requests may come: for each client, or for whatever the key says. More are refused with 429.

    All routes that use it take from the same. Up to 1,048,576 keys are counted; where more are in use at once, those
    are forgotten that have taken least.
    """

    type: Literal["rate_limit"] = "rate_limit"
    """`"rate_limit"`. Required in a file. Example: `type = "rate_limit"`."""

    rate: OneOrManyRates
    """How many requests may come in a time: a whole number, `/`, and `s`, `min`, `h` or `day`; of several rates all
    hold.

    They come back evenly; in any such time pass at most so many and as many as may come at once (`burst`). Required.
    Example: `rate = "600/min"`.
    """

    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """How many may come at once, by the first rate; of the others as many as they say.

    Default: absent, as many as the rate says. Example: `burst = 100`.
    """

    key: OneOrMany = "client.id"
    """What requests are counted by: those that are alike in all of it are counted together.

    `client.id`, `client.ip`, `client.plan`, `client.claims.NAME`, `request.method`, `request.scheme`, `request.host`,
    `request.path`, `request.query`, `request.route`, `request.headers.NAME`, `request.cookies.NAME`; and
    `policy.NAME`, the key that a policy in Python gives. Addresses of IPv6 count by their /64. Default: `"client.id"`.
    Example: `key = ["client.id", "request.route"]`.
    """


class Python(Acting):
    """Asks a function of yours, in Python. It runs in a process of its own, a lane; the guide has the whole of it."""

    type: Literal["python"] = "python"
    """`"python"`. Required in a file. Example: `type = "python"`."""

    call: Annotated[str, Field(min_length=1)]
    """The policy: `module:function`, or the name of an entry point in the group `pylos.policies`.

    The folder of the configuration is looked through first. Required. Example: `call = "policies:staff_only"`.
    """

    timeout: PolicyTimeout = "1s"
    """How long a request waits for the verdict; then `on_error` says what becomes of it.

    Default: `"1s"`. Example: `timeout = "20ms"`.
    """

    on_error: Literal["deny", "allow"] = "deny"
    """What becomes of a request about which there is no verdict: the function raised, or took too long, or its lane
    was lost. `"deny"` answers 503.

    Default: `"deny"`. Example: `on_error = "allow"`.
    """

    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many calls of it run at once in each lane; more wait for their turn there.

    A call whose request waits no longer (`timeout`) takes its turn all the same. Each call of a policy that is
    `blocking` has a thread, whose stack does not count for `lane_memory`; a `def` that is not runs alone anyhow.
    Default: absent, 32 for one that is `blocking`, else as many as there are. Example: `concurrency = 10`.
    """

    queue: Annotated[int, Field(ge=1, le=8192)] = 8192
    """How many requests of one worker may wait for it at once; more are not: `on_error` decides about them.

    Default: `8192`. Example: `queue = 500`.
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    """What the function is called with besides the request: the fields of its settings model.

    Default: none. Example: `settings = { threshold = 0.8 }`.
    """


class Mtls(Acting):
    """Lets only clients pass that have shown a certificate, which `client.ca` of their `[tls.NAME]` vouches for.

    Others get 403. It fills `client`: `client.id` is `mtls:` and the certificate's subject as RFC 4514 writes it, and
    `client.claims` has `subject`, `issuer`, `serial`, `sha256`, and lists of names: `dns`, `uri` and `email`.
    """

    type: Literal["mtls"] = "mtls"
    """`"mtls"`. Required in a file. Example: `type = "mtls"`."""


class Chain(Table):
    """A list of policies under one name."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("enforce", "if", "on_error"), "a chain is only a list: write it at the policies that it names"
    )

    type: Literal["chain"] = "chain"
    """`"chain"`. Required in a file. Example: `type = "chain"`."""

    use: Annotated[list[str], Field(min_length=1)]
    """The policies, in order; chains may stand in chains.

    Required. Example: `use = ["shield", "security"]`.
    """

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """


Policy = Headers | Filter | RateLimit | Mtls | Python | Chain

POLICIES: dict[str, type[Policy]] = {
    "headers": Headers,
    "filter": Filter,
    "rate_limit": RateLimit,
    "mtls": Mtls,
    "python": Python,
    "chain": Chain,
}
"""By `type`."""
