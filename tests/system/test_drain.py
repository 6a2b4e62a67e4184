"""The end of a gateway in order: who is told, who may finish, and what is cut at the deadline."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from system.rig import Front, configuration, connects, until

from pylos.testing import GatewayUnderTest, RawClient, UpstreamConnection, Wait
from pylos.testing.plugin import UpstreamFactory

OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]\n'
SWITCHES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ASKS = b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
GOING_AWAY = b"\x88\x02\x03\xe9"
"""The frame by which a server of WebSocket says that it goes away: close, 1001 (RFC 6455, 7.4.1)."""
FRAME = b"\x82\x84\x00\x00\x00\x00echo"
"""As a client sends it, with a mask that does nothing."""
NEVER = threading.Event()


def _echoes(connection: UpstreamConnection) -> None:
    """Switch protocols, and send back what comes."""
    connection.read_request()
    connection.send(SWITCHES)
    while data := connection.read_some():
        connection.send(data)


def _open_tunnel(client: RawClient) -> None:
    _open_tunnel_with(client, b"there")


def _talk(client: RawClient, text: bytes) -> None:
    client.send(text)
    assert client.read_exactly(len(text)) == text


def _status(gateway: GatewayUnderTest, path: str) -> int:
    with RawClient(gateway.address("ops")) as client:
        return client.get(path).status


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_readiness_turns_first(front: Front, upstream: UpstreamFactory):
    """While requests finish, probes are answered: not ready, but alive; and the figures can be read."""
    app = upstream([Wait(NEVER)])
    gateway = front(app, pylos='access_log = false\ndrain = "60s"', more=OPS)
    address = gateway.address()
    assert _status(gateway, "/readyz") == 200
    with RawClient(address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        gateway.signal(signal.SIGTERM)
        until(lambda: not connects(address))
        assert _status(gateway, "/readyz") == 503
        assert _status(gateway, "/livez") == 200
        assert _status(gateway, "/metrics") == 200


def test_a_second_signal_ends_at_once(front: Front, upstream: UpstreamFactory):
    """Though a request and a tunnel are under way, and the drain has a minute."""
    app = upstream(serve=_silent_or_tunnel)
    gateway = front(app, pylos='access_log = false\ndrain = "60s"')
    with RawClient(gateway.address()) as busy, RawClient(gateway.address()) as tunnel:
        _open_tunnel(tunnel)
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(2)
        gateway.signal(signal.SIGTERM)
        until(lambda: not connects(gateway.address()))
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        gateway.wait(10)
        assert time.monotonic() - started < 5
        busy.expect_eof()
        tunnel.expect_eof()


def _silent_or_tunnel(connection: UpstreamConnection) -> None:
    request = connection.read_request()
    if request is None or request.target != "/tunnel":
        connection.wait(NEVER)
    connection.send(SWITCHES)
    while data := connection.read_some():
        connection.send(data)


def test_tunnels_work_until_the_deadline_and_are_closed_then(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(serve=_echoes), pylos='access_log = false\ndrain = "2s"')
    with RawClient(gateway.address()) as client:
        _open_tunnel(client)
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        until(lambda: not connects(gateway.address()))
        _talk(client, b"still there")
        assert client.read_to_end() == b"", "what is no frame has no place for one"
        assert 1.8 < time.monotonic() - started < 7
    gateway.wait(10)


def _hears(heard: list[bytes]) -> Callable[[UpstreamConnection], None]:
    """Switch protocols, send back what comes, and keep it."""

    def serve(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(SWITCHES)
        while data := connection.read_some():
            heard.append(data)
            connection.send(data)

    return serve


def _unmasked(frame: bytes) -> bytes:
    """Take the mask from a frame of a client that has one and is short (RFC 6455, 5.3)."""
    assert frame[1] & 0x80
    mask, content = frame[2:6], frame[6:]
    return frame[:1] + bytes([frame[1] & 0x7F]) + bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))


def test_both_sides_of_a_websocket_are_told(front: Front, upstream: UpstreamFactory, tmp_path: Path):
    """At the deadline, where a frame may begin: also to a client that says good-bye in return."""
    log, heard = tmp_path / "access.log", list[bytes]()
    gateway = front(upstream(serve=_hears(heard)), pylos=f'access_log = {{ path = "{log}" }}\ndrain = "1s"')
    with RawClient(gateway.address()) as client, RawClient(gateway.address()) as halfway:
        _open_tunnel_with(client, FRAME)
        _open_tunnel_with(halfway, FRAME[:5])
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert client.read_exactly(len(GOING_AWAY)) == GOING_AWAY
        assert 0.9 < time.monotonic() - started < 3
        client.send(FRAME)
        client.expect_eof()
        assert halfway.read_to_end() == b"", "it is within a frame"
    gateway.wait(10)
    assert [_unmasked(data) for data in heard if data not in (FRAME, FRAME[:5])] == [GOING_AWAY]
    assert [line["ended"] for line in _lines(log)] == ["cut", "cut"]


def test_a_tunnel_whose_target_is_taken_away(front: Front, upstream: UpstreamFactory, tmp_path: Path):
    """It has the time of a drain; then it is told, and the gateway goes on."""
    log, heard = tmp_path / "access.log", list[bytes]()
    lines = {"pylos": f'access_log = {{ path = "{log}" }}\ndrain = "2s"', "route": 'match = "/tunnel"'}
    app, other = upstream(serve=_hears(heard)), upstream()
    gateway = front(app, **lines)
    with RawClient(gateway.address()) as client:
        _open_tunnel_with(client, FRAME)
        gateway.reload_toml(configuration(other, **lines))
        started = time.monotonic()
        _talk(client, FRAME)
        assert client.read_exactly(len(GOING_AWAY)) == GOING_AWAY
        assert 1.5 < time.monotonic() - started < 4
        client.expect_eof()
    until(lambda: [line["ended"] for line in _lines(log)] == ["upstream_removed"])
    assert _unmasked(heard[-1]) == GOING_AWAY
    with RawClient(gateway.address()) as client:
        assert client.get("/tunnel").status == 200


def _open_tunnel_with(client: RawClient, data: bytes) -> None:
    client.send(ASKS)
    assert client.read_response().status == 101
    _talk(client, data)


@pytest.mark.parametrize("data", [ASKS, b"GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["tunnel", "request"])
def test_what_is_cut_at_the_deadline_has_its_line(data: bytes, front: Front, upstream: UpstreamFactory, tmp_path: Path):
    log = tmp_path / "access.log"

    def story(connection: UpstreamConnection) -> None:
        request = connection.read_request()
        if request is not None and request.header("upgrade"):
            connection.send(SWITCHES)
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        connection.wait(NEVER)

    gateway = front(upstream(serve=story), pylos=f'access_log = {{ path = "{log}" }}\ndrain = "500ms"')
    with RawClient(gateway.address()) as client:
        client.send(data)
        client.read_head()
        gateway.signal(signal.SIGTERM)
        client.read_to_end()
        gateway.wait(10)
    assert [(line["path"], line["ended"]) for line in _lines(log)] == [("/tunnel", "cut")]


def test_a_hundred_tunnels_and_twenty_reloads(front: Front, upstream: UpstreamFactory):
    """Reloads that add other routes drop none of them, and none of the configurations is kept by them."""
    app = upstream(serve=_echoes)
    lines = {"route": 'match = "/tunnel"', "more": OPS}
    gateway = front(app, **lines)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(gateway.address())) for _ in range(100)]
        for client in clients:
            _open_tunnel(client)
        for number in range(20):
            lines["more"] += f'[route.b{number}]\nmatch = "/b/{number}"\nrespond = {{ text = "{number}" }}\n'
            gateway.reload_toml(configuration(app, **lines))
        for client in clients:
            _talk(client, b"after twenty reloads")
        until(lambda: _snapshots(gateway) == 1)
        gateway.reload_toml(configuration("http://127.0.0.1:1", route='match = "/elsewhere"', more=OPS))
        for client in clients:
            _talk(client, b"after their route has gone")
        until(lambda: _snapshots(gateway) == 1)


def _snapshots(gateway: GatewayUnderTest) -> float:
    """Give the configurations in use, a worker; the one that answers this is one of them."""
    with RawClient(gateway.address("ops")) as client:
        lines = [line.split() for line in client.get("/metrics").text.splitlines() if line.startswith("pylos_")]
    found = {words[0]: float(words[1]) for words in lines if len(words) == 2}
    return found["pylos_config_snapshots"] / (found["pylos_workers"] + 1)
