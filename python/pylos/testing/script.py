"""What a scripted upstream can do with a request: bytes to send, and these steps between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pylos.testing.connection import UpstreamConnection
from pylos.testing.message import Request


@dataclass(frozen=True)
class Wait:
    """Go on when the test sets `event`."""

    event: threading.Event


@dataclass(frozen=True)
class Close:
    """Close the connection (FIN)."""


@dataclass(frozen=True)
class Reset:
    """Close the connection with RST."""


@dataclass(frozen=True)
class HalfClose:
    """Send FIN and go on reading."""


Step = bytes | Wait | Close | Reset | HalfClose
Reply = Step | Sequence[Step] | Callable[[UpstreamConnection, Request], object]
"""What one request gets: bytes, a step, several of them in order, or a function that does it by hand."""


def reply(body: bytes = b"ok", status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Spell a whole response with a Content-Length."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status} Scripted\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def perform(reply: Reply, connection: UpstreamConnection, request: Request) -> None:
    """Carry out one reply."""
    if callable(reply):
        reply(connection, request)
        return
    steps: Sequence[Step] = [reply] if isinstance(reply, bytes | Wait | Close | Reset | HalfClose) else reply
    for step in steps:
        _perform_step(step, connection)


def _perform_step(step: Step, connection: UpstreamConnection) -> None:
    match step:
        case bytes():
            connection.send(step)
        case Wait(event):
            connection.wait(event)
        case Close():
            connection.close()
        case Reset():
            connection.reset()
        case HalfClose():
            connection.half_close()
