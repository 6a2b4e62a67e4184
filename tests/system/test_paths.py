"""One normal path for routing, policies and the upstream; everything else of the target arrives as it was sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from system.rig import Front, Served

from pylos import Gateway
from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream

TWO_ROUTES = """
[pylos]
version = 1
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["{url}"]
health = false
[route.open]
match = "/open/{{rest:path}}"
to = "app"
[route.secret]
match = "/secret/{{rest:path}}"
to = "app"
use = ["nobody"]
[route.x]
match = "/x"
to = "app"
[policy.nobody]
type = "filter"
deny_ip = ["0.0.0.0/0"]
"""
CROSSING = [
    ("/open/../secret/x", 403),
    ("/open/%2e%2e/secret/x", 403),
    ("/open/.%2E/secret/x", 403),
    ("/open/..;/secret/x", 400),
    ("/open/..%2fsecret/x", 400),
    ("/open/%2e%2e%5csecret/x", 400),
    ("/open/a/../../secret/x", 403),
]
EDITS = [
    ("/a b/{rest:path}", 'strip = "/a b"', "/a%20b/c%2Fd?x=1", "/c%2Fd?x=1"),
    ("/api/{rest:path}", 'strip = "/api"', "/api", "/"),
    ("/api/{rest:path}", 'strip = "/api"', "/api?x", "/?x"),
    ("/api/{rest:path}", 'strip = "/api"', "/api/", "/"),
    ("/api/{rest:path}", 'strip = "/api"', "/api//x/", "//x/"),
    ("/e/{a}/{b}", 'rewrite = "/e/{a}%2F{b}"', "/e/x/y", "/e/x%2Fy"),
    ("/e/{a}/{b}", 'rewrite = "/e/{a}%2F{b}"', "/e/x%2Fz/y?q=%41", "/e/x%2Fz%2Fy?q=%41"),
]
TARGET = "/p/http://x//y?b=2&a=1&b=3&flag&sig=%E9%FF&s=1;2&q=a%20b+c&e="


@pytest.fixture(scope="module")
def two_routes() -> Iterator[Served]:
    with EchoUpstream() as app, Gateway.from_toml(TWO_ROUTES.format(url=app.url)) as gateway:
        yield Served(gateway, app)


@pytest.mark.parametrize("target, status", CROSSING)
def test_dots_do_not_cross_a_policy_line(target: str, status: int, two_routes: Served):
    before = len(two_routes.app.requests)
    with RawClient(two_routes.gateway.address()) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response().status == status
    assert len(two_routes.app.requests) == before


@pytest.mark.parametrize(
    "target, normal",
    [("/../x", "/x"), ("/open/./a/../b", "/open/b"), ("/secret/../open/y", "/open/y"), ("/open/%7eu", "/open/~u")],
)
def test_upstream_sees_the_normal_path(target: str, normal: str, two_routes: Served):
    with RawClient(two_routes.gateway.address()) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response().json()["target"] == normal


@pytest.mark.parametrize("case", EDITS, ids=lambda case: f"{case[1]} {case[2]}")
def test_prefix_with_escapes(case: tuple[str, str, str, str], front: Front, echo: EchoUpstream):
    match, edit, target, expected = case
    gateway = front(echo, route=f'match = "{match}"\n{edit}')
    with RawClient(gateway.address()) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response().json()["target"] == expected


def test_strip_ends_at_a_segment(front: Front, echo: EchoUpstream):
    gateway = front(echo, route='match = "/stat/{rest:path}"\nstrip = "/stat"')
    with RawClient(gateway.address()) as client:
        assert client.get("/status").status == 404
        assert client.get("/stat/us").json()["target"] == "/us"


@pytest.mark.parametrize("policies", ["", 'use = ["some", "fields"]'], ids=["no policy", "policies"])
def test_target_arrives_byte_for_byte(policies: str, front: Front, echo: EchoUpstream):
    more = """
    [policy.some]
    type = "filter"
    deny_path = ["/other"]
    [policy.fields]
    type = "headers"
    request = { set = { x-a = "1" } }
    """
    route = 'match = "/{rest:path}"\n' + policies
    with RawClient(front(echo, route=route, more=more if policies else "").address()) as client:
        client.send(f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response().status == 200
    assert echo.received.startswith(f"GET {TARGET} HTTP/1.1\r\n".encode())
