"""`[test.NAME]`: a request, and where it has to go."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, Tag, model_validator

from pylos.model.base import Table, branch, one_of_shapes, wrong


class Identity(Table):
    """Who sends the request of a test, as if a policy had found it out."""

    id: Annotated[str, Field(min_length=1)]
    """`client.id`: `consumer:NAME`, `jwt:ISSUER|SUBJECT` and so on.

    Required. Example: `id = "consumer:acme"`.
    """

    plan: str | None = None
    """`client.plan`.

    Default: absent. Example: `plan = "gold"`.
    """

    claims: dict[str, Any] = Field(default_factory=dict)
    """`client.claims`.

    Default: none. Example: `claims = { role = "staff" }`.
    """


class Expect(Table):
    """What has to come of the request. What is not named does not matter."""

    route: str | None = None
    """The route that takes it.

    Default: absent. Example: `route = "site"`.
    """

    upstream: str | None = None
    """The upstream that is asked.

    Default: absent. Example: `upstream = "web"`.
    """

    path: str | None = None
    """The path that the upstream gets; with a `?`, the query too.

    Default: absent. Example: `path = "/orders/7"`.
    """

    headers: dict[
        str,
        Annotated[
            Annotated[str, Tag(branch("text"))] | Annotated[Literal[False], Tag(branch("absent"))],
            one_of_shapes("must be a string or false", text=str, absent=lambda value: value is False),
        ],
    ] = Field(default_factory=dict)
    """Fields that the upstream gets, in any letter case; `false`: it does not get this field.

    Default: none. Example: `headers = { x-tenant = "shop", x-debug = false }`.
    """

    status: Annotated[int, Field(ge=200, le=599)] | None = None
    """The status of an answer that the gateway gives itself: a refusal, a redirect, a fixed answer.

    Default: absent. Example: `status = 404`.
    """

    reason: str | None = None
    """The reason of a refusal, as in the answer's field `pylos-reason`.

    Default: absent. Example: `reason = "no_route"`.
    """

    location: str | None = None
    """Where a redirect leads.

    Default: absent. Example: `location = "https://shop.example.com/"`.
    """

    @model_validator(mode="after")
    def something(self) -> Self:
        """Refuse a test that cannot fail."""
        if not self.model_fields_set:
            raise wrong("P105", "nothing is expected: the test could not fail", hint='for example `route = "site"`')
        return self


def method_and_url(request: str) -> str:
    """Check that a request has its two parts."""
    if len(request.split(" ")) != len(("method", "URL")) or not all(request.split(" ")):
        raise wrong("P104", "must be a method and a URL", hint='for example "GET https://shop.example.com/items/7"')
    return request


class Test(Table):
    """A request, and where it has to go. Tests run on the table alone, whenever a configuration is checked."""

    __test__: ClassVar[bool] = False
    """No test of pytest's."""

    request: Annotated[str, AfterValidator(method_and_url)]
    """Method and URL; its port, if it has one, chooses the listener. A path alone is one of the host `localhost`.

    Required. Example: `request = "GET https://shop.example.com/items/7?full=1"`.
    """

    headers: dict[str, str] = Field(default_factory=dict)
    """Fields of the request.

    Default: none. Example: `headers = { x-beta = "1" }`.
    """

    peer: str = "127.0.0.1"
    """The address from which the connection comes.

    Default: `"127.0.0.1"`. Example: `peer = "203.0.113.7"`.
    """

    listener: str | None = None
    """The listener that is reached.

    Default: absent, the one whose port the URL has, else the first that serves routes. Example: `listener = "http"`.
    """

    as_: (
        Annotated[
            Annotated[str, Tag(branch("id"))] | Annotated[Identity, Tag(branch("table"))],
            one_of_shapes("must be a string or a table", id=str, table=dict),
        ]
        | None
    ) = Field(default=None, alias="as")
    """Who the client is: a `client.id`, or a table of `id`, `plan` and `claims`.

    In Python it is written `as_`. Default: absent, nobody in particular. Example: `as = "consumer:acme"`.
    """

    expect: Expect
    """What has to come of it.

    Required. Example: `expect = { route = "site" }`.
    """
