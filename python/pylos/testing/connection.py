"""One connection from the gateway to a scripted upstream, as its script sees it."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

from pylos.testing.message import Request
from pylos.testing.reading import read_body, read_request, request_framing
from pylos.testing.record import WAIT_SECONDS, Record
from pylos.testing.stream import ByteStream


class Stopped(Exception):  # noqa: N818 - not an error: the test is over while a script still waits
    """The upstream was stopped while a script was waiting for an event."""


class UpstreamConnection:
    """One connection from the gateway, as its script sees it. Made by the accepting thread, closed by its own."""

    def __init__(self, record: Record, sock: socket.socket, index: int) -> None:
        self.index = index
        self.peer: object = sock.getpeername()
        self.requests: list[Request] = []
        """The requests of which the head has been read."""
        self.closed = threading.Event()
        """Set when this side has closed the connection; after it, `received` is final."""
        self._record = record
        self._stream = ByteStream(sock)
        self._open = True

    thread: threading.Thread
    """Serves this connection; set by the upstream before it starts."""

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Answer the gateway's handshake; from here on all is encrypted. Raises ssl.SSLError where it fails."""
        self._stream = ByteStream(context.wrap_socket(self._stream.socket, server_side=True))

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """What was agreed on; None without TLS."""
        return self._stream.socket if isinstance(self._stream.socket, ssl.SSLSocket) else None

    @property
    def received(self) -> bytes:
        """Every byte that came over this connection and was read."""
        return bytes(self._stream.received)

    def read_head(self) -> Request | None:
        """Read the next request's head; None when the gateway closed. Counts the request."""
        request = read_request(self._stream, self.index)
        if request is not None:
            self.requests.append(request)
            self._record.add(request)
        return request

    def read_body(self, request: Request | None) -> bytes:
        """Read the body that belongs to a head."""
        if request is None:
            raise EOFError("no request: the gateway closed the connection")
        read_body(self._stream, request, request_framing(request))
        self._record.changed()
        return request.body

    def read_request(self) -> Request | None:
        """Read a whole request; None when the gateway closed."""
        request = self.read_head()
        if request is not None:
            self.read_body(request)
        return request

    def read_some(self) -> bytes:
        """Read what is there, at least one byte; b"" at the end. For tunnels."""
        return self._stream.read_some()

    def read_exactly(self, count: int) -> bytes:
        """Read `count` bytes."""
        return self._stream.read_exactly(count)

    def discard(self, count: int | None = None) -> int:
        """Read and forget `count` bytes, or all up to the end; gives how many came."""
        return self._stream.discard(count)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._stream.send(data)

    def wait(self, event: threading.Event, timeout: float = WAIT_SECONDS) -> None:
        """Wait for a signal of the test; ends also when the upstream is stopped."""
        pause = 0.02
        for _ in range(int(timeout / pause)):
            if event.wait(pause):
                return
            if self._record.stopping:
                raise Stopped
        raise TimeoutError(f"no signal within {timeout} s")

    def wait_for_eof(self) -> None:
        """Read and record until the gateway closes its side."""
        self._stream.read_to_end()

    def half_close(self) -> None:
        """Send FIN; reading goes on."""
        self._stream.half_close()

    def close(self) -> None:
        """Close (FIN). From another thread than the connection's own: wakes that thread, which then closes."""
        if not self._open:
            return
        if threading.current_thread() is self.thread:
            self._open = False
            self._stream.socket.close()
        else:
            with suppress(OSError):
                self._stream.socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close with RST, from any thread."""
        if not self._open:
            return
        self._stream.linger_zero()
        if threading.current_thread() is self.thread:
            self.close()
        else:
            with suppress(OSError):
                self._stream.socket.shutdown(socket.SHUT_RD)

    @property
    def is_open(self) -> bool:
        """This side has not closed the connection."""
        return self._open
