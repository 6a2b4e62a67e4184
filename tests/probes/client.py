"""The client of a probe: takes its steps over a raw socket and reads until the proxy closes."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING

from probes.probe import Await, Fin

if TYPE_CHECKING:
    from probes.probe import Probe

#: how long a proxy may stay silent before the connection counts as left open
PATIENCE = 2.0


def play(address: tuple[str, int], probe: Probe, patience: float = PATIENCE) -> tuple[bytes, bool]:
    """All bytes received, and whether the proxy closed."""
    with socket.create_connection(address, timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(sock, patience)
        for step in probe.steps:
            if isinstance(step, Await):
                reader.until(step.text)
            elif isinstance(step, Fin):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
            else:
                _send(reader, step, trickle=probe.trickle)
        reader.until(None)
        return bytes(reader.data), reader.closed


class Reader:
    """Collects what arrives, with a bound on silence."""

    def __init__(self, sock: socket.socket, patience: float) -> None:
        """`patience` is the longest silence, in seconds."""
        self.sock = sock
        self.patience = patience
        self.data = bytearray()
        self.closed = False

    def until(self, text: bytes | None) -> None:
        """Read until `text` has arrived, the peer closes, or nothing comes for too long."""
        deadline = time.monotonic() + self.patience
        while not self.closed and (text is None or text not in self.data):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return
            if self.pull():
                deadline = time.monotonic() + self.patience

    def pull(self) -> int:
        """One read; an end by FIN and one by RST are the same to a client."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        self.data += data
        self.closed = not data
        return len(data)


def _send(reader: Reader, data: bytes, *, trickle: bool) -> None:
    """Write all of it unless the peer has gone; read on the way so that nobody blocks."""
    size = 1 if trickle else 65536
    view = memoryview(data)
    while view and not reader.closed:
        readable, writable, _ = select.select([reader.sock], [reader.sock], [], reader.patience)
        if readable:
            reader.pull()
        elif writable:
            try:
                view = view[reader.sock.send(view[:size]) :]
            except OSError:
                return
        else:
            return
