"""Each wait has an end of its own, told by its own code."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from system.rig import Front

from pylos import Gateway
from pylos.testing import RawClient, Request, Response, UpstreamConnection, Wait, reply
from pylos.testing.plugin import UpstreamFactory

NEVER = threading.Event()
SHORT = 0.3
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"


def _told(response: Response) -> tuple[int, str | None]:
    return response.status, response.header("pylos-reason")


def _ends(gateway: Gateway, data: bytes, expected: tuple[int, str] | None) -> None:
    """After SHORT the gateway answers with this, or just closes, and not much later."""
    with RawClient(gateway.address()) as client:
        started = time.monotonic()
        if data:
            client.send(data)
        if expected:
            assert _told(client.read_response()) == expected
        if not (expected and expected[0] >= 500):
            client.expect_eof()
        assert SHORT * 0.9 < time.monotonic() - started < SHORT + 1.5


LISTENER = {
    "header": (b"GET / HTTP/1.1\r\nHo", (408, "header_timeout")),
    "idle": (b"", None),
    "body_idle": (POST + b"half", (408, "body_timeout")),
}


@pytest.mark.parametrize("key", LISTENER)
def test_listener(key: str, front: Front, upstream: UpstreamFactory):
    data, expected = LISTENER[key]
    _ends(front(upstream(), listen=f'timeouts = {{ {key} = "300ms" }}'), data, expected)


def test_idle_between_requests(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(), listen='timeouts = { idle = "300ms" }')
    with RawClient(gateway.address()) as client:
        assert client.get().status == 200
        started = time.monotonic()
        client.expect_eof()
        assert SHORT * 0.9 < time.monotonic() - started < SHORT + 1.5


def test_client_that_does_not_read(front: Front, upstream: UpstreamFactory):
    """The answer is larger than all buffers; the upstream learns that nobody takes it."""
    left = threading.Event()

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.send(bytes(1 << 20))
        finally:
            left.set()

    gateway = front(upstream(serve=story), listen='timeouts = { send_idle = "300ms" }')
    with RawClient(gateway.address()) as client:
        client.send(GET)
        assert client.read_head().status == 200
        assert left.wait(5)


def test_first_byte(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream([Wait(NEVER)]), upstream='health = false\ntimeouts = { first_byte = "300ms" }')
    _ends(gateway, GET, (504, "upstream_timeout"))


def test_route_timeout(front: Front, upstream: UpstreamFactory):
    route = 'match = "/{rest:path}"\ntimeout = "300ms"'
    _ends(front(upstream([Wait(NEVER)]), route=route), GET, (504, "upstream_timeout"))


def test_route_timeout_does_not_cut_a_stream(front: Front, upstream: UpstreamFactory):
    """It ends with the head of the answer."""

    def slow(connection: UpstreamConnection, _: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for byte in (b"w", b"x", b"y", b"z"):
            threading.Event().wait(0.2)
            connection.send(byte)

    gateway = front(upstream(slow), route='match = "/{rest:path}"\ntimeout = "300ms"')
    with RawClient(gateway.address()) as client:
        assert client.get().body == b"wxyz"


def test_total_timeout_cuts_a_stream(front: Front, upstream: UpstreamFactory):
    def endless(connection: UpstreamConnection, _: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.send(b"1\r\nx\r\n")
            threading.Event().wait(0.05)

    gateway = front(upstream(endless), route='match = "/{rest:path}"\ntimeouts = { total = "300ms" }')
    with RawClient(gateway.address()) as client:
        client.send(GET)
        started = time.monotonic()
        assert client.read_head().status == 200
        assert b"0\r\n\r\n" not in client.read_to_end()
        assert SHORT * 0.9 < time.monotonic() - started < SHORT + 1.5


def test_total_timeout_before_the_head(front: Front, upstream: UpstreamFactory):
    route = 'match = "/{rest:path}"\ntimeouts = { total = "300ms" }'
    with RawClient(front(upstream([Wait(NEVER)]), route=route).address()) as client:
        assert client.get().status == 504


def test_upstream_that_does_not_read(front: Front, upstream: UpstreamFactory):
    """The request is larger than all buffers."""

    def story(connection: UpstreamConnection) -> None:
        connection.read_head()
        connection.wait(NEVER)

    gateway = front(upstream(serve=story), upstream='health = false\ntimeouts = { send_idle = "300ms" }')
    with RawClient(gateway.address()) as client:
        sender = threading.Thread(target=_pour, args=(client,))
        sender.start()
        assert client.read_response().status in {502, 504}
        sender.join(10)
        assert not sender.is_alive()


def _pour(client: RawClient) -> None:
    try:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1000):
            client.send(bytes(1_000_000))
    except OSError:
        return


@pytest.fixture
def full() -> Iterator[str]:
    """A target whose queue of connections is full: further ones get no answer."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_connect(full: str, front: Front):
    gateway = front(full, upstream='health = false\ntimeouts = { connect = "300ms" }')
    _ends(gateway, GET, (504, "upstream_connect_timeout"))


def test_connect_goes_on_with_the_next_target(full: str, front: Front, upstream: UpstreamFactory):
    gateway = front(full, upstream(), upstream='health = false\ntimeouts = { connect = "300ms" }')
    with RawClient(gateway.address()) as client:
        assert [client.get().status for _ in range(4)] == [200] * 4


SWITCHES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ASKS = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_tunnel_idle(front: Front, upstream: UpstreamFactory):
    """Other timeouts do not touch a tunnel; any byte either way keeps it."""

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(SWITCHES)
        while data := connection.read_some():
            connection.send(data)

    route = 'match = "/{rest:path}"\ntimeout = "200ms"\ntimeouts = { total = "200ms", tunnel_idle = "600ms" }'
    listen = 'timeouts = { idle = "200ms", body_idle = "200ms" }'
    limits = 'health = false\ntimeouts = { idle = "200ms", first_byte = "200ms" }'
    gateway = front(upstream(serve=story), route=route, listen=listen, upstream=limits)
    with RawClient(gateway.address()) as client:
        client.send(ASKS)
        assert client.read_response().status == 101
        for _ in range(5):
            threading.Event().wait(0.3)
            client.send(b"ping")
            assert client.read_exactly(4) == b"ping"
        started = time.monotonic()
        client.expect_eof()
        assert 0.5 < time.monotonic() - started < 2.0


def test_answers_in_time_are_not_touched(front: Front, upstream: UpstreamFactory):
    """Every timeout set short, every party quick: nothing happens."""
    listen = 'timeouts = { header = "1s", idle = "1s", body_idle = "1s", send_idle = "1s" }'
    limits = 'health = false\ntimeouts = { connect = "1s", first_byte = "1s", idle = "1s", send_idle = "1s" }'
    gateway = front(upstream(reply(b"ok")), listen=listen, upstream=limits)
    with RawClient(gateway.address()) as client:
        for _ in range(8):
            assert client.request("POST", body=b"hello").body == b"ok"
            threading.Event().wait(0.3)
