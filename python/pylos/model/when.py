"""`when` of a route: what a request must have besides its method, host and path."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Tag

from pylos.model.base import Table, branch, one_of_shapes, wrong


def text_or_true(value: Any) -> Any:  # noqa: ANN401 - any value may be given
    """Check the form of a condition before pydantic does, which would tell of both forms."""
    if value is False:
        hint = "`true` asks for it to be there; requests without it go to the other routes"
        raise wrong("P104", "must be a string or true, not false", hint=hint)
    return value


Condition = Annotated[
    Annotated[
        Annotated[str, Tag(branch("text"))] | Annotated[Literal[True], Tag(branch("there"))],
        one_of_shapes("must be a string or true", text=str, there=lambda value: value is True),
    ],
    BeforeValidator(text_or_true),
]
"""`"v"`: is this text; `"re:..."`: the regular expression is found in it; `true`: is there."""


class When(Table):
    """Conditions, all of which must hold. A name has a text (exactly this), `"re:..."` or `true` (is there)."""

    header: dict[str, Condition] = Field(default_factory=dict)
    """Fields of the request, in any letter case.

    Default: none. Example: `header = { x-beta = true, accept = "re:^text/" }`.
    """

    query: dict[str, Condition] = Field(default_factory=dict)
    """Parameters of the query.

    Default: none. Example: `query = { v = "2" }`.
    """

    cookie: dict[str, Condition] = Field(default_factory=dict)
    """Cookies.

    Default: none. Example: `cookie = { beta = "re:^(1|yes)$" }`.
    """

    ip: list[str] = Field(default_factory=list)
    """Addresses and networks, one of which the client has.

    Default: all. Example: `ip = ["10.0.0.0/8"]`.
    """
