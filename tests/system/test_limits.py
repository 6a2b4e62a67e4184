"""Each bound of a listener, an upstream's pool and a filter: one below passes, one above is refused with its code."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from system.rig import Front, until

from pylos.testing import RawClient, Response, Wait, reply
from pylos.testing.echo import EchoUpstream
from pylos.testing.plugin import UpstreamFactory

LIMITS = 'limits = { line = "1KiB", header = "4KiB", fields = 20, body = "1KiB" }'


def _told(response: Response) -> tuple[int, str | None]:
    return response.status, response.header("pylos-reason")


def _target(length: int) -> bytes:
    """A request whose line has so many bytes, without its CRLF."""
    return b"GET /" + b"x" * (length - len(b"GET / HTTP/1.1")) + b" HTTP/1.1\r\nHost: a\r\n\r\n"


def _fields(count: int) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(count - 1)) + b"\r\n"


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
BELOW = {
    "line": _target(1000),
    "field": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 1000 + b"\r\n\r\n",
    "fields": _fields(20),
    "header": b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"x" * 900 + b"\r\n") * 4 + b"\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024,
    "chunks": CHUNKED + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n",
}
ABOVE = {
    "line": (_target(1100), 414, "target_too_long"),
    "field": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 1100 + b"\r\n\r\n", 431, "fields_too_large"),
    "fields": (_fields(21), 431, "fields_too_large"),
    "header": (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"x" * 900 + b"\r\n") * 5 + b"\r\n",
        431,
        "fields_too_large",
    ),
    "length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n" + b"x" * 1025, 413, "body_too_large"),
    "chunks": (
        CHUNKED + b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n",
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("name", BELOW)
def test_below_the_bound(name: str, front: Front, upstream: UpstreamFactory):
    with RawClient(front(upstream(), listen=LIMITS).address()) as client:
        client.send(BELOW[name])
        assert client.read_response().status == 200


@pytest.mark.parametrize("name", ABOVE)
def test_above_the_bound(name: str, front: Front, upstream: UpstreamFactory):
    data, *told = ABOVE[name]
    app = upstream()
    with RawClient(front(app, listen=LIMITS).address()) as client:
        client.send(data)
        assert list(_told(client.read_response())) == told
        client.half_close()
        client.expect_eof()
    assert not [request for request in app.requests if request.complete]


def test_body_bound_of_a_filter(front: Front, upstream: UpstreamFactory):
    more = '[policy.small]\ntype = "filter"\nmax_body = "10B"'
    gateway = front(upstream(), route='match = "/{rest:path}"\nuse = ["small"]', more=more)
    with RawClient(gateway.address()) as client:
        assert client.request("POST", body=b"x" * 10).status == 200
        assert _told(client.request("POST", body=b"x" * 11)) == (413, "body_too_large")


def test_connections_of_one_address(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(), listen="limits = { connections_per_address = 3 }")
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(gateway.address())) for _ in range(3)]
        assert [client.get().status for client in clients] == [200] * 3
        stack.enter_context(RawClient(gateway.address())).expect_eof()
        assert stack.enter_context(RawClient(gateway.address(), source="127.0.0.9")).get().status == 200
        clients[0].close()
        until(lambda: gateway.status()["connections"] == 3)
        assert stack.enter_context(RawClient(gateway.address())).get().status == 200


def test_connections_in_all(front: Front, upstream: UpstreamFactory):
    """One more is closed at once, until another has gone."""
    gateway = front(upstream(), pylos="access_log = false\nworkers = 1", listen="limits = { connections = 2 }")
    with RawClient(gateway.address()) as first, RawClient(gateway.address()) as second:
        assert [first.get().status, second.get().status] == [200, 200]
        with RawClient(gateway.address()) as third:
            third.expect_eof()
        second.close()
        until(lambda: gateway.status()["connections"] == 1)
        with RawClient(gateway.address()) as third:
            assert third.get().status == 200


def test_idle_connections_of_the_pool(front: Front, upstream: UpstreamFactory):
    """With room for none, each request has a connection of its own."""
    app = upstream()
    gateway = front(app, pylos="access_log = false\nworkers = 1", upstream="health = false\npool = { max_idle = 0 }")
    with RawClient(gateway.address()) as client:
        assert [client.get().status for _ in range(3)] == [200] * 3
    assert len(app.connections) == 3


def test_connections_are_kept_by_default(front: Front, upstream: UpstreamFactory):
    app = upstream()
    gateway = front(app, pylos="access_log = false\nworkers = 1")
    with RawClient(gateway.address()) as client:
        assert [client.get().status for _ in range(3)] == [200] * 3
    assert len(app.connections) == 1


@pytest.mark.parametrize("key", ["idle", "max_age"])
def test_kept_connection_has_an_end(key: str, front: Front, upstream: UpstreamFactory):
    app = upstream()
    gateway = front(
        app, pylos="access_log = false\nworkers = 1", upstream=f'health = false\npool = {{ {key} = "300ms" }}'
    )
    with RawClient(gateway.address()) as client:
        assert client.get().status == 200
        threading.Event().wait(0.5)
        assert client.get().status == 200
    assert len(app.connections) == 2


def test_connections_to_a_target(front: Front, upstream: UpstreamFactory):
    """All are busy: the next request is refused or waits, it does not open a third."""
    go_on = threading.Event()
    app = upstream([Wait(go_on), reply(b"ok")])
    gateway = front(
        app, pylos="access_log = false\nworkers = 1", upstream="health = false\npool = { max_connections = 2 }"
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(gateway.address())) for _ in range(3)]
        for client in clients[:2]:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(2)
        clients[2].send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = clients[2].read_response()
        assert response.status == 503
        go_on.set()
        assert [client.read_response().status for client in clients[:2]] == [200, 200]
    assert len(app.connections) == 2


def test_half_a_megabyte_of_head_is_no_trouble_when_allowed(front: Front, echo: EchoUpstream):
    listen = 'limits = { line = "256KiB", header = "1MiB", fields = 10000 }'
    with RawClient(front(echo, listen=listen).address()) as client:
        seen = client.get("/", [(f"X-{n}", "x" * 100) for n in range(4000)]).json()
    assert len([name for name, _ in seen["headers"] if name.startswith("X-")]) == 4000
