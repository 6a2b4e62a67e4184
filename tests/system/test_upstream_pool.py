"""A kept upstream connection that has died: nothing is lost, and nothing is sent twice that must not be."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from system.rig import Front

from pylos.testing import RawClient, ScriptedUpstream, UpstreamConnection, reply
from pylos.testing.plugin import UpstreamFactory

ONE_WORKER = "access_log = false\nworkers = 1"
ROUNDS = 500
MIB = 1 << 20


def _once(then: Callable[[UpstreamConnection], object]) -> Callable[[UpstreamConnection], None]:
    """Answer one request on each connection with its own body, then do this."""

    def story(connection: UpstreamConnection) -> None:
        request = connection.read_request()
        if request is not None:
            connection.send(reply(request.body or request.target.encode()))
            then(connection)

    return story


def _bodies(app: ScriptedUpstream) -> Counter[bytes]:
    return Counter(request.body for request in app.requests)


def test_closed_while_idle(front: Front, upstream: UpstreamFactory):
    """The upstream's FIN is there before the next request: a new connection, for POST as well, and no retry."""
    app = upstream(serve=_once(lambda connection: connection.close()))
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        for number in range(ROUNDS):
            method, body = ("POST", b"%d" % number) if number % 2 else ("GET", None)
            response = client.request(method, f"/{number}", body=body)
            assert (response.status, response.body) == (HTTPStatus.OK, body or b"/%d" % number)
            app.connections[-1].closed.wait(10)
    assert len(app.requests) == ROUNDS
    assert set(_bodies(app).values()) - {ROUNDS // 2} == {1}


def test_closed_at_any_moment(front: Front, upstream: UpstreamFactory):
    """The FIN races with the next request: a GET never notices."""
    app = upstream(serve=_once(lambda connection: connection.close()))
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        for number in range(ROUNDS):
            response = client.get(f"/{number}")
            assert (response.status, response.body) == (HTTPStatus.OK, b"/%d" % number)


def _reset_second(connection: UpstreamConnection) -> None:
    """Take the second request whole, then answer with RST."""
    if connection.read_request() is not None:
        connection.reset()


def test_reset_upon_second_get(front: Front, upstream: UpstreamFactory):
    """Idempotent, and no byte of an answer came: once more on a fresh connection."""
    app = upstream(serve=_once(_reset_second))
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        for number in range(20):
            response = client.get(f"/{number}")
            assert (response.status, response.body) == (HTTPStatus.OK, b"/%d" % number)


def test_reset_upon_second_post(front: Front, upstream: UpstreamFactory):
    """Bytes have been sent: 502, and the upstream sees it once."""
    app = upstream(serve=_once(_reset_second))
    gateway = front(app, pylos=ONE_WORKER)
    with RawClient(gateway.address()) as client:
        assert client.get("/warm").status == HTTPStatus.OK
        assert client.request("POST", "/", body=b"once").status == HTTPStatus.BAD_GATEWAY
    with RawClient(gateway.address()) as client:
        assert client.get("/after").status == HTTPStatus.OK
    assert _bodies(app)[b"once"] == 1


def test_reset_while_idle(front: Front, upstream: UpstreamFactory):
    """The connection is broken before the next request: nothing is written to it."""
    app = upstream(serve=_once(lambda connection: connection.reset()))
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        for number in range(20):
            response = client.request("POST", f"/{number}", body=b"%d" % number)
            assert (response.status, response.body) == (HTTPStatus.OK, b"%d" % number)
            app.connections[-1].closed.wait(10)
    assert set(_bodies(app).values()) == {1}


@pytest.fixture
def refusing() -> Iterator[str]:
    """A port that is taken, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_refused_connect_takes_the_next_target(refusing: str, front: Front, upstream: UpstreamFactory):
    """Nothing was sent, so even a POST goes on, with its whole body."""
    app = upstream()
    gateway = front(refusing, app, pylos=ONE_WORKER)
    for number in range(12):
        with RawClient(gateway.address()) as client:
            assert client.request("POST", "/", body=b"%02d" % number).status == HTTPStatus.OK
    assert [request.body for request in app.requests] == [b"%02d" % number for number in range(12)]


def test_partly_sent_stream_is_not_sent_again(front: Front, upstream: UpstreamFactory):
    """10 MiB, cut midway: 502, and the other target never hears of it."""
    halfway = threading.Event()

    def cut(connection: UpstreamConnection) -> None:
        connection.read_head()
        connection.discard(64 * 1024)
        halfway.set()
        connection.reset()

    first, second = upstream(serve=cut), upstream(serve=cut)
    with RawClient(front(first, second, pylos=ONE_WORKER).address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (10 * MIB))
        client.send(b"x" * (64 * 1024))
        assert halfway.wait(10)
        sender = threading.Thread(target=_send_quietly, args=(client, b"x" * (10 * MIB - 64 * 1024)))
        sender.start()
        assert client.read_response().status == HTTPStatus.BAD_GATEWAY
        client.discard()
        sender.join(10)
    assert len(first.requests) + len(second.requests) == 1


def _send_quietly(client: RawClient, data: bytes) -> None:
    """Send for as long as the gateway takes it."""
    try:
        client.send(data)
    except OSError:
        return
