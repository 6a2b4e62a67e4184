"""A socket with exact reads that remembers every byte it received."""

from __future__ import annotations

import socket
import ssl
import struct

from pylos.testing.message import IncompleteError, ProtocolError

HEAD_LIMIT = 1 << 20
RECEIVE_SIZE = 1 << 16


class ByteStream:
    """Exact reads over a blocking socket. All reads raise TimeoutError after the socket's timeout."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = bytearray()
        """Every byte that came in, whether a read has taken it or not (`discard` is the exception)."""
        self._buffer = bytearray()
        self._ended = False

    def read_head(self) -> bytes | None:
        """Read up to and with the first blank line; None when the stream ends before the first byte."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ProtocolError("no end of the head within 1 MiB")
            if not self._fill():
                if self._buffer:
                    raise IncompleteError("the connection ended inside a head", bytes(self._buffer))
                return None
        return self._take(end + 4)

    def read_line(self) -> bytes | None:
        """Read one line that ends with CRLF and give it without; None at the end of the stream."""
        while (end := self._buffer.find(b"\n")) < 0:
            if not self._fill():
                return None
        line = self._take(end + 1)
        if not line.endswith(b"\r\n"):
            raise ProtocolError(f"a line that ends with a lone LF: {line!r}")
        return line[:-2]

    def read_exactly(self, count: int) -> bytes:
        """Read `count` bytes; IncompleteError when the stream ends before."""
        while len(self._buffer) < count:
            if not self._fill():
                raise IncompleteError(f"the connection ended before byte {count}", bytes(self._buffer))
        return self._take(count)

    def read_some(self) -> bytes:
        """Read what is there, at least one byte; b"" at the end of the stream."""
        if not self._buffer:
            self._fill()
        return self._take(len(self._buffer))

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and with `mark`."""
        while (start := self._buffer.find(mark)) < 0:
            if not self._fill():
                raise IncompleteError(f"the connection ended before {mark!r}", bytes(self._buffer))
        return self._take(start + len(mark))

    def read_to_end(self) -> bytes:
        """Read until the other side closes."""
        while self._fill():
            pass
        return self._take(len(self._buffer))

    def discard(self, count: int | None = None) -> int:
        """Read and forget `count` bytes, or all up to the end; gives how many came. For bodies too large to keep."""
        seen = min(len(self._buffer), count) if count is not None else len(self._buffer)
        self._take(seen)
        while count is None or seen < count:
            wanted = RECEIVE_SIZE if count is None else min(RECEIVE_SIZE, count - seen)
            piece = len(self.socket.recv(wanted))
            if not piece:
                self._ended = True
                break
            seen += piece
        return seen

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def half_close(self) -> None:
        """Send FIN; reading goes on. With TLS nothing else is said before it."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)  # an SSLSocket's own would end its reading too

    def has_ended(self) -> bool:
        """Whether the other side has closed, and all that it sent has come. Waits for nothing."""
        before = self.socket.gettimeout()
        self.socket.settimeout(0)
        try:
            return not self._fill()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(before)

    def linger_zero(self) -> None:
        """From now on, closing sends RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _fill(self) -> bool:
        if self._ended:
            return False
        data = self.socket.recv(RECEIVE_SIZE)
        self._ended = not data
        self._buffer += data
        self.received += data
        return not self._ended

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
