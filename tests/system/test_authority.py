"""One authority: what routes is what the upstream sees, whether it came as Host or in the target."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest
from system.rig import Refusal, Served

from pylos import Gateway
from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream

BY_HOST = """
[pylos]
version = 1
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.a]
targets = ["{a}"]
health = false
[upstream.b]
targets = ["{b}"]
health = false
[route.a]
match = "a.example/{{rest:path}}"
to = "a"
[route.b]
match = "/{{rest:path}}"
to = "b"
"""
LINE = b"GET /x HTTP/1.1\r\n"
BAD = {
    "no Host": LINE + b"X-A: 1\r\n\r\n",
    "two Hosts": LINE + b"Host: a.example\r\nHost: b.example\r\n\r\n",
    "two equal Hosts": LINE + b"Host: a.example\r\nHost: a.example\r\n\r\n",
    "a list": LINE + b"Host: a, b\r\n\r\n",
    "absolute without Host": b"GET http://a.example/x HTTP/1.1\r\n\r\n",
}


ByHost = tuple[str, EchoUpstream, EchoUpstream]


@pytest.fixture(scope="module")
def by_host() -> Iterator[ByHost]:
    """The address of a gateway, what it has for a.example, and what for all others."""
    with (
        EchoUpstream("a") as a,
        EchoUpstream("other") as other,
        Gateway.from_toml(BY_HOST.format(a=a.url, b=other.url)) as gateway,
    ):
        yield gateway.address(), a, other


@pytest.mark.parametrize("host", ["b.example", "a.example", "a.example:80", "A.Example"])
def test_target_wins_over_host(host: str, by_host: ByHost):
    """Route and Host come from the target's authority; `b.example` is seen by nobody."""
    address, _, other = by_host
    before = len(other.requests)
    with RawClient(address) as client:
        client.send(f"GET http://a.example/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        seen = client.read_response().json()
    assert seen["upstream"] == "a"
    assert seen["target"] == "/x"
    hosts = [value for name, value in seen["headers"] if name.lower() == "host"]
    assert hosts in (["a.example"], ["a.example:80"])
    assert len(other.requests) == before


def test_host_alone_routes(by_host: ByHost):
    with RawClient(by_host[0]) as client:
        for host, expected in (("a.example", "a"), ("a.example:80", "a"), ("b.example", "other")):
            seen = client.request("GET", "/x", host=host).json()
            assert seen["upstream"] == expected
            assert [value for name, value in seen["headers"] if name.lower() == "host"] == [host]


def test_1_0_without_host_takes_the_default_route(by_host: ByHost):
    with RawClient(by_host[0]) as client:
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        response = client.read_response()
        assert response.status == HTTPStatus.OK
        assert response.json()["upstream"] == "other"
        client.expect_eof()


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_missing_doubled_or_invalid_host_is_refused(data: bytes, plain: Served, refuses: Refusal):
    refuses(plain, data)
