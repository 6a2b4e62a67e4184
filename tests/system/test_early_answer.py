"""The upstream answers while the client still sends: its answer arrives, whatever becomes of the upload."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from system.rig import Front

from pylos.testing import RawClient, UpstreamConnection, reply
from pylos.testing.plugin import UpstreamFactory

SIZE = 20 << 20
READ = 16 << 10
RUNS = 100
ANSWER = reply(b"too much of it", 413)


def _answer_and_close(connection: UpstreamConnection) -> None:
    """Unread bytes are in the socket, so that closing resets the connection."""
    connection.read_head()
    connection.read_exactly(READ)
    connection.send(ANSWER)
    connection.close()


def _answer_and_read_on(connection: UpstreamConnection) -> None:
    """The rest is read as it comes; where it comes whole, the connection is good for another request."""
    while (request := connection.read_head()) is not None:
        connection.send(ANSWER)
        connection.read_body(request)


Story = Callable[[UpstreamConnection], None]


@pytest.mark.parametrize("story", [_answer_and_close, _answer_and_read_on])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_answer_overtakes_the_upload(story: Story, framing: str, front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(serve=story))
    answers = [_upload(gateway.address(), chunked=framing == "chunked") for _ in range(RUNS)]
    assert answers == [(413, b"too much of it")] * RUNS


def _upload(address: str, *, chunked: bool) -> tuple[int, bytes]:
    """Send 20 MiB for as long as it is taken; the answer that came meanwhile."""
    with RawClient(address) as client:
        sender = threading.Thread(target=_send, args=(client,), kwargs={"chunked": chunked})
        sender.start()
        response = client.read_response()
        sender.join(10)
        assert not sender.is_alive(), "neither drained nor closed"
    return response.status, response.body


def _send(client: RawClient, *, chunked: bool) -> None:
    piece = b"x" * 65536
    framed = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    field = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    try:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
        for _ in range(SIZE // len(piece)):
            client.send(framed)
    except OSError:
        return
