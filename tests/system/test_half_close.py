"""A client that has sent its whole request and shut its sending side still wants its answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from system.rig import Front

from pylos import Gateway
from pylos.testing import RawClient, Request, UpstreamConnection, reply
from pylos.testing.plugin import UpstreamFactory

RUNS = 50
DELAY = 0.3
REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def _answer_later(connection: UpstreamConnection, _: Request) -> None:
    threading.Event().wait(DELAY)
    connection.send(reply(b"done"))


def _ask(gateway: Gateway) -> tuple[int, bytes]:
    with RawClient(gateway.address()) as client:
        client.send(REQUEST)
        client.half_close()
        response = client.read_response()
        client.expect_eof()
        return response.status, response.body


def test_answer_is_delivered(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(_answer_later))
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(_ask, [gateway] * RUNS))
    assert answers == [(200, b"done")] * RUNS


def test_half_closed_client_that_gets_nothing_is_given_up(front: Front, upstream: UpstreamFactory):
    """Patience with a half-closed client has a bound of its own, and the upstream learns of it."""
    left = threading.Event()

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.wait_for_eof()
        left.set()

    gateway = front(upstream(serve=story), listen='timeouts = { client_fin = "500ms" }')
    with RawClient(gateway.address()) as client:
        client.send(REQUEST)
        client.half_close()
        assert left.wait(5)
