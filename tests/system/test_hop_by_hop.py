"""What belongs to one connection ends at the gateway; only allowed protocols are switched to."""

from __future__ import annotations

from http import HTTPStatus

from system.rig import Front

from pylos.testing import RawClient, Request
from pylos.testing.echo import EchoUpstream
from pylos.testing.plugin import UpstreamFactory

ONE_WORKER = "access_log = false\nworkers = 1"
SWITCHES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def _names(request: Request) -> set[str]:
    return {name.lower() for name, _ in request.headers}


def test_all_connection_lines_count(front: Front, echo: EchoUpstream):
    """An empty first line does not end the list, and a client's `close` is not the upstream connection's."""
    gateway = front(echo, pylos=ONE_WORKER)
    for _ in range(2):
        with RawClient(gateway.address()) as client:
            client.send(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\nConnection: X-Forwarded-For, X-S, close\r\n"
                b"X-S: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\r\n"
            )
            assert client.read_response().status == HTTPStatus.OK
            client.expect_eof()
    assert len(echo.connections) == 1
    for request in echo.requests:
        assert request.header("x-forwarded-for") == "127.0.0.1"
        assert not _names(request) & {"x-s", "keep-alive", "proxy-connection"}
        assert "close" not in (request.header("connection") or "")


def test_host_and_framing_cannot_be_named_away(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=ONE_WORKER)
    with RawClient(gateway.address()) as client:
        for _ in range(2):
            client.send(
                b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length\r\nContent-Length: 5\r\n\r\nhello"
            )
            seen = client.read_response().json()
            assert seen["body"] == "hello"
            fields = {name.lower(): value for name, value in seen["headers"]}
            assert fields["host"] == "a"
            assert fields["content-length"] == "5"
    assert len(echo.connections) == 1


def test_h2c_is_not_passed_on(front: Front, echo: EchoUpstream):
    with RawClient(front(echo).address()) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        )
        assert client.read_response().status == HTTPStatus.OK
        assert client.get().status == HTTPStatus.OK
    assert not _names(echo.requests[0]) & {"upgrade", "http2-settings"}
    assert "upgrade" not in (echo.requests[0].header("connection") or "").lower()


def test_unasked_101_is_a_502(front: Front, upstream: UpstreamFactory):
    app = upstream(SWITCHES)
    with RawClient(front(app).address()) as client:
        assert client.get().status == HTTPStatus.BAD_GATEWAY


def test_h2c_answered_by_101_is_a_502(front: Front, upstream: UpstreamFactory):
    app = upstream(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with RawClient(front(app).address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert client.read_response().status == HTTPStatus.BAD_GATEWAY


def test_upgrade_can_be_switched_off(front: Front, echo: EchoUpstream):
    route = 'match = "/{rest:path}"\nupgrade = []'
    with RawClient(front(echo, route=route).address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert client.read_response().status == HTTPStatus.OK
    assert "upgrade" not in _names(echo.requests[0])
