"""Events are not held back: heads and single events arrive at once, and a client that leaves frees the upstream."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
from system.rig import Front

from pylos.testing import RawClient, UpstreamConnection
from pylos.testing.plugin import UpstreamFactory

AT_ONCE = 0.1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
EVENT = b"data: %d\n\n"
PAUSES = (2.0, 1.5)


@dataclass
class Stream:
    """A server of events: one after each pause, then silence until the gateway leaves."""

    chunked: bool
    sent: list[float] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: UpstreamConnection) -> None:
        connection.read_request()
        self._send(connection, HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if self.chunked else b"\r\n"))
        for number, pause in enumerate(PAUSES):
            threading.Event().wait(pause)
            event = EVENT % number
            self._send(connection, b"%x\r\n%s\r\n" % (len(event), event) if self.chunked else event)
        connection.wait_for_eof()
        self.left.set()

    def _send(self, connection: UpstreamConnection, data: bytes) -> None:
        self.sent.append(time.monotonic())
        connection.send(data)


@pytest.mark.parametrize("framing", ["chunked", "until the end"])
def test_events_arrive_at_once(framing: str, front: Front, upstream: UpstreamFactory):
    stream = Stream(chunked=framing == "chunked")
    with RawClient(front(upstream(serve=stream)).address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        head = client.read_head()
        came = [time.monotonic()]
        for number in range(len(PAUSES)):
            client.read_until(EVENT % number)
            came.append(time.monotonic())
        assert head.header("content-encoding") is None
        assert max(there - here for here, there in zip(stream.sent, came, strict=True)) < AT_ONCE
        client.close()
        assert stream.left.wait(1.0)
