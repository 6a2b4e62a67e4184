"""`[route.NAME]`: which requests, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, Tag, model_validator

from pylos.model.base import OneOrMany, Table, branch, defaults_of, one_of_shapes, wrong
from pylos.model.units import Duration, DurationOrZero
from pylos.model.when import When


def json_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Check that a value has a JSON form."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise wrong("P104", "has no JSON form", hint="JSON knows no infinity and no NaN") from None
    except TypeError as error:
        raise wrong("P104", f"has no JSON form: {error}") from None
    return value


class Redirect(Table):
    """An answer that sends the client elsewhere."""

    to: str
    """An absolute URL or a path, with the captures of `match`.

    The query is kept unless there is one in `to`. Required. Example: `to = "https://shop.example.com/{rest}"`.
    """

    status: Literal[301, 302, 303, 307, 308] = 308
    """301, 302, 303, 307 or 308.

    With 308 and 307 the method and the body stay. Default: 308. Example: `status = 302`.
    """


class Respond(Table):
    """A fixed answer. Its body is one of `text`, `json` and `html`, or nothing."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    """The status, 200 to 599.

    Default: 200. Example: `status = 503`.
    """

    text: str | None = None
    """The body, sent as `text/plain; charset=utf-8`.

    Default: absent. Example: `text = "We are back soon."`.
    """

    json_: Annotated[Any, BeforeValidator(json_value)] = Field(default=None, alias="json")
    """The body as a value, sent as `application/json`.

    Default: absent. Example: `json = { status = "ok" }`.
    """

    html: str | None = None
    """The body, sent as `text/html; charset=utf-8`.

    Default: absent. Example: `html = "<h1>We are back soon.</h1>"`.
    """

    headers: dict[str, str] = Field(default_factory=dict)
    """Further fields.

    Default: none. Example: `headers = { retry-after = "60" }`.
    """

    @model_validator(mode="after")
    def one_body(self) -> Self:
        """Refuse a second body."""
        bodies = [key for key, name in BODIES.items() if name in self.model_fields_set]
        if len(bodies) > 1:
            first, second, *_ = bodies
            raise wrong("P108", f"cannot stand beside `{first}`: an answer has one body", keys=[second])
        return self


BODIES = {"text": "text", "json": "json_", "html": "html"}


class RewriteRe(Table):
    """A change of the path by a regular expression."""

    re: Annotated[str, Field(min_length=1)]
    """What is looked for in the path; every place where it is found is replaced, up to 64.

    Required. Example: `re = "^/v([0-9]+)/(.*)$"`.
    """

    to: str
    """What stands there instead; `$1` is the first group, and a named one is written `$${name}`.

    (`${name}` is a variable of the environment.) Required. Example: `to = "/$2"`.
    """


class RouteTimeouts(Table):
    """The rarer time limits of a route."""

    total: DurationOrZero = "0s"
    """The whole exchange, bodies included; `"0s"` is no bound. Tunnels do not know it.

    Then the answer is cut, so that the client sees that it is not whole. Default: `"0s"`. Example: `total = "1h"`.
    """

    tunnel_idle: Duration = "1h"
    """An upgraded connection (WebSocket) without a byte either way.

    Then it is closed. Default: `"1h"`. Example: `tunnel_idle = "5m"`.
    """


class Route(Table):
    """Which requests, and what becomes of them: one of `to`, `redirect` and `respond`."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("method", "methods", "host", "hosts", "path", "paths", "prefix"),
            'that is said in `match`: "[METHODS ]host/path"',
        ),
        **dict.fromkeys(
            ("header", "headers", "query", "cookie", "ip"), "that is said in `when`, or by a policy in `use`"
        ),
    }

    match: OneOrMany
    """The requests: `[METHODS ]host/path`, or a list of such, any of which may hold.

    Host: a name, `*.name` (one label), `**.name` (any depth), or nothing for any. Path: `{id}` is one segment,
    `{rest:path}` the tail, so that `/x/{rest:path}` is `/x`, `/x/` and `/x/y`. The most specific match wins; the order
    of the file means nothing. Required. Example: `match = "GET,HEAD shop.example.com/items/{id}"`.
    """

    when: When | None = None
    """What a request must have besides: fields, parameters of the query, cookies, addresses; all must hold.

    Among routes with the same match those with more conditions are asked first. Default: absent.
    Example: `when = { header = { x-beta = true } }`.
    """

    priority: Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)] = 0
    """Decides between routes that are equally specific: the larger one is asked first.

    Default: 0. Example: `priority = 10`.
    """

    to: str | None = None
    """The upstream that answers.

    Default: absent. Example: `to = "web"`.
    """

    redirect: (
        Annotated[
            Annotated[str, Tag(branch("url"))] | Annotated[Redirect, Tag(branch("table"))],
            one_of_shapes("must be a string or a table", url=str, table=dict),
        ]
        | None
    ) = None
    """Sends the client elsewhere: a URL (status 308), or a table of `to` and `status`.

    Default: absent. Example: `redirect = "https://shop.example.com/{rest}"`.
    """

    respond: Respond | None = None
    """A fixed answer.

    Default: absent. Example: `respond = { status = 200, text = "ok" }`.
    """

    rewrite: (
        Annotated[
            Annotated[str, Tag(branch("template"))] | Annotated[RewriteRe, Tag(branch("table"))],
            one_of_shapes("must be a string or a table", template=str, table=dict),
        ]
        | None
    ) = None
    """The path that the upstream sees, with the captures of `match`; or a table of `re` and `to`.

    Only with `to`; escapes stay as they were sent. Default: absent, the path stays.
    Example: `rewrite = "/orders/{rest}"`.
    """

    strip: str | None = None
    """What is taken off the front of the path for the upstream. Only with `to`, and without `rewrite`.

    Default: absent, the path stays. Example: `strip = "/api"`.
    """

    use: list[str] = Field(default_factory=list)
    """Policies of this route, after those of `[pylos]` and the listener; each policy once.

    Default: none. Example: `use = ["security"]`.
    """

    without: list[str] = Field(default_factory=list)
    """Policies that this route does not have although `[pylos]` or the listener has them.

    Default: none. Example: `without = ["identity"]`.
    """

    timeout: DurationOrZero = "0s"
    """From the request's head to the head of the answer, retries included; `"0s"` leaves it to the upstream alone.

    Then the answer is 504. Only with `to`. Default: `"0s"`. Example: `timeout = "10s"`.
    """

    timeouts: RouteTimeouts = Field(default_factory=defaults_of(RouteTimeouts))
    """The rarer time limits. Only with `to`. Default: that of each key. Example: `timeouts = { total = "1h" }`."""

    upgrade: list[str] = Field(default_factory=lambda: ["websocket"])
    """Protocols that a client may change to; the connection is then a tunnel of bytes. Only with `to`.

    Default: `["websocket"]`. Example: `upgrade = []` (none).
    """

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """

    @model_validator(mode="after")
    def one_action(self) -> Self:
        """Refuse none, a second, and keys that do nothing beside the chosen one."""
        written = [key for key in ACTIONS if getattr(self, key) is not None]
        if not written:
            raise wrong(
                "P105", "nothing becomes of these requests", hint="add `to`, `redirect` or `respond`", keys=ACTIONS
            )
        if len(written) > 1:
            first, second, *_ = written
            raise wrong("P108", f"cannot stand beside `{first}`: a route does one thing", keys=[second])
        return self

    @model_validator(mode="after")
    def keys_of_forwarding(self) -> Self:
        """Refuse what would have no effect."""
        for key in FORWARDING:
            if self.to is None and key in self.model_fields_set:
                raise wrong("P108", "does nothing without `to`", keys=[key, "to"])
        if self.rewrite is not None and self.strip is not None:
            raise wrong("P108", "cannot stand beside `rewrite`", keys=["strip"])
        return self


ACTIONS = ("to", "redirect", "respond")
FORWARDING = ("rewrite", "strip", "timeout", "timeouts", "upgrade")
