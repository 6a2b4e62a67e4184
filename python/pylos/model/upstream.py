"""`[upstream.NAME]`: the servers that answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from pylos.model.base import Table, branch, defaults_of, one_of_shapes
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
    """The servers: `"http://host:port"`, `"host:port"`, `"unix:/path"`, or a table with `url`.

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

    pool: Pool = Field(default_factory=defaults_of(Pool))
    """Connections kept for the next request. Default: that of each key. Example: `pool = { idle = "4s" }`."""

    timeouts: UpstreamTimeouts = Field(default_factory=defaults_of(UpstreamTimeouts))
    """How long a target is waited for. Default: that of each key. Example: `timeouts = { connect = "500ms" }`."""

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """
