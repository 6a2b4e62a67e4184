"""Spellings and odd requests that must not get around a policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from system.rig import Front

from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream

GUARDED = """
[route.admin]
match = "/admin/{rest:path}"
to = "app"
use = ["staff"]
silence = ["P213"]
[route.items]
match = "/items/{id}"
to = "app"
use = ["mark", "paths", "beta", "guests", "hooked"]
[route.hidden]
match = "/hidden/{rest:path}"
respond = { status = 404 }
silence = ["P213"]
[upstream.twin]
targets = ["{url}"]
health = false
[route.export]
match = "/export/{rest:path}"
to = "twin"
use = ["staff"]
silence = ["P213"]
[route.login]
match = "/login/{rest:path}"
redirect = "https://id.example/{rest}"
[policy.hooked]
type = "filter"
allow_ip = ["192.0.2.1"]
if = "request.path.startsWith('/hooked/')"
[policy.staff]
type = "filter"
allow_ip = ["192.0.2.1"]
[policy.mark]
type = "headers"
request.set = { x-mark = "1" }
[policy.paths]
type = "filter"
deny_path = ["/private/{rest:path}"]
[policy.beta]
type = "headers"
request.set = { x-beta-user = "yes" }
if = "request.headers['x-role'] == 'tester' || request.query.beta == '1'"
[policy.guests]
type = "filter"
deny_path = ["/staff"]
if = "request.headers['x-role'] != 'staff' || request.query.as != 'staff'"
"""


@pytest.fixture
def client(front: Front, echo: EchoUpstream) -> Iterator[RawClient]:
    route = 'match = "/{rest:path}"\nuse = ["paths", "beta", "guests", "hooked"]'
    gateway = front(echo, route=route, more=GUARDED.replace("{url}", echo.url))
    with RawClient(gateway.address()) as client:
        yield client


@pytest.mark.parametrize(
    "path, status, reason",
    [
        ("/admin/users", 403, "ip_denied"),
        ("/admin%2Fusers", 400, "ambiguous_path"),
        ("/admin%2f", 400, "ambiguous_path"),
        ("/admin%5Cusers", 400, "ambiguous_path"),
        ("/admin%2Fx%5Cy", 400, "ambiguous_path"),
        ("/admin;a=b/users", 400, "ambiguous_path"),
        ("/login%2Fx", 400, "ambiguous_path"),
        ("/export/x", 403, "ip_denied"),
        ("/export%2Fx", 400, "ambiguous_path"),
        ("/private;/x", 403, "path_denied"),
        ("/private%2Fx%5Cy", 403, "path_denied"),
        ("/hooked/x", 403, "ip_denied"),
        ("/hooked%2Fx", 403, "ip_denied"),
        ("/hooked;/x", 403, "ip_denied"),
        ("/hidden%2Fx", 400, "ambiguous_path"),
        ("/private/x", 403, "path_denied"),
        ("/private%2Fx", 403, "path_denied"),
    ],
)
def test_an_escaped_slash_is_no_way_around(client: RawClient, echo: EchoUpstream, path: str, status: int, reason: str):
    answer = client.get(path)
    assert (answer.status, answer.header("pylos-reason")) == (status, reason)
    assert echo.requests == []


@pytest.mark.parametrize("path", ["/a%2Fb", "/items/a%2Fb", "/items%2Fa%2Fb", "/x/admin%2Fusers", "/admin%252Fusers"])
def test_an_escaped_slash_that_decides_nothing_passes_as_it_is(client: RawClient, echo: EchoUpstream, path: str):
    assert client.get(path).status == 200
    assert echo.requests[0].target == path


@pytest.mark.parametrize(
    "target, headers, mark",
    [
        ("/", [("x-role", "tester")], "yes"),
        ("/", [("X_Role", "tester")], "yes"),  # one field for an application behind CGI, and so for a condition
        ("/", [("x-role", "tester"), ("X_Role", "guest")], None),
        ("/", [], None),
        ("/?beta=1", [], "yes"),
        ("/?beta=1&beta=%31", [], "yes"),
        ("/?beta=0&beta=1", [], None),
        ("/?beta=1&beta=0", [], None),
    ],
)
def test_in_doubt_nothing_is_changed(
    client: RawClient, echo: EchoUpstream, target: str, headers: list[tuple[str, str]], mark: str | None
):
    assert client.get(target, headers).status == 200
    assert echo.requests[0].header("x-beta-user") == mark


@pytest.mark.parametrize(
    "query, headers, status",
    [
        ("?as=staff", [("x-role", "staff")], 200),
        ("?as=guest&as=staff", [("x-role", "staff")], 403),
        ("?as=staff&as=guest", [("x-role", "staff")], 403),
        ("?as=staff", [("x-role", "staff"), ("x_role", "guest")], 403),
        ("", [("x-role", "staff")], 403),
    ],
)
def test_in_doubt_a_filter_acts(client: RawClient, query: str, headers: list[tuple[str, str]], status: int):
    assert client.get(f"/staff{query}", headers).status == status


READ_IN_MANY_WAYS = """
[policy.query]
type = "filter"
allow_ip = ["192.0.2.1"]
if = "request.query.cmd == 'drop all' || request.query['a b'] == '1'"
[policy.both]
type = "filter"
allow_ip = ["192.0.2.1"]
if = "request.path.startsWith('/hooks/') && request.query.mode == 'write'"
[policy.role]
type = "filter"
allow_ip = ["192.0.2.1"]
if = "request.headers['x-role'] == 'admin' || request.headers['x-forwarded-user'] == 'admin'"
[policy.me]
type = "filter"
allow_ip = ["192.0.2.1"]
if = "request.path.startsWith('/users/@me')"
"""


@pytest.mark.parametrize(
    "target, headers, status",
    [
        ("/?cmd=drop+all", [], 403),
        ("/?cmd=x&cmd=drop+all", [], 403),
        ("/?cmd=x&cmd=drop%20all&cmd=y", [], 403),
        ("/?cmd=x&cmd=drop&cmd=all", [], 200),
        ("/?a+b=1", [], 403),
        ("/?a+b=0&a%20b=1", [], 403),
        ("/hooks;/x?mode=write", [], 403),
        ("/hooks/x?mode=read&mode=write", [], 403),
        ("/hooks;/x?mode=read&mode=write", [], 403),
        ("/hooks;/x?mode=read", [], 200),
        ("/", [("x-role", "admin")], 403),
        ("/", [("x_role", "a"), ("x-role", "admin"), ("X_Role", "b")], 403),
        ("/", [("x-role", "a"), ("x-role", "admin"), ("x-role", "b")], 403),
        ("/", [("x-role", "a"), ("x-role", "b")], 200),
        ("/", [("x-forwarded-user", "joe")], 200),
        ("/users/@me", [], 403),
        ("/users/%40me", [], 403),
        ("/users/%40you", [], 200),
    ],
)
def test_a_filter_acts_where_any_application_would_see_what_it_looks_for(
    front: Front, echo: EchoUpstream, target: str, headers: list[tuple[str, str]], status: int
):
    route = 'match = "/{rest:path}"\nuse = ["query", "both", "role", "me"]'
    with RawClient(front(echo, route=route, more=READ_IN_MANY_WAYS).address()) as client:
        assert client.get(target, headers).status == status
