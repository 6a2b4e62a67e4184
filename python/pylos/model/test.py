"""`[test.NAME]`: a request, and where it has to go."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, Tag, model_validator

from pylos.model.base import Table, branch, one_of_shapes, wrong

Fields = dict[
    str,
    Annotated[
        Annotated[str, Tag(branch("text"))] | Annotated[Literal[False], Tag(branch("absent"))],
        one_of_shapes("must be a string or false", text=str, absent=lambda value: value is False),
    ],
]
"""By name; `false` for one that is not there."""


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

    headers: Fields = Field(default_factory=dict)
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


class Given(Table):
    """What a policy in Python is taken to say: changes of the request, or with `deny` a refusal."""

    deny: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    """The code of a refusal.

    Default: absent, it lets the request pass. Example: `deny = "staff_only"`.
    """

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    """The status of the refusal.

    Default: 403. Example: `status = 402`.
    """

    headers: Fields = Field(default_factory=dict)
    """Fields that it sets; `false`: it removes them.

    Default: none. Example: `headers = { x-fraud-score = "0.1" }`.
    """

    path: str | None = None
    """The path that the upstream gets.

    Default: absent. Example: `path = "/v2/orders"`.
    """

    query: str | None = None
    """Its query.

    Default: absent. Example: `query = "full=1"`.
    """

    upstream: str | None = None
    """The upstream that is asked.

    Default: absent. Example: `upstream = "canary"`.
    """

    client: str | None = None
    """Who the client is.

    Default: absent. Example: `client = "consumer:acme"`.
    """

    plan: str | None = None
    """Its plan.

    Default: absent. Example: `plan = "gold"`.
    """

    claims: dict[str, Any] = Field(default_factory=dict)
    """Claims of the client.

    Default: none. Example: `claims = { role = "staff" }`.
    """

    @model_validator(mode="after")
    def one_of_the_two(self) -> Self:
        """Refuse a refusal that changes the request."""
        changes = self.model_fields_set - {"deny", "status"}
        if self.deny is not None and changes:
            raise wrong("P108", "a refusal changes nothing", keys=sorted(changes), hint="take one of them out")
        if self.deny is None and self.status is not None:
            raise wrong("P108", "`status` is that of a refusal", keys=["status"], hint='beside `deny = "code"`')
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

    given_: dict[
        str,
        Annotated[
            Annotated[Literal["allow", "deny", "fail"], Tag(branch("word"))] | Annotated[Given, Tag(branch("verdict"))],
            one_of_shapes('must be "allow", "deny", "fail" or a table', word=str, verdict=dict),
        ],
    ] = Field(default_factory=dict, alias="given")
    """By policy in Python, what it is taken to say: none of them is asked in a test.

    `"allow"`, `"deny"` (403 `denied`), `"fail"` (no verdict, so that `on_error` decides), or a table. In Python it
    is written `given_`. Default: all allow. Example: `given = { fraud = "deny", tenant = { upstream = "eu" } }`.
    """

    expect: Expect
    """What has to come of it.

    Required. Example: `expect = { route = "site" }`.
    """
