"""What a scripted upstream can do with a request: bytes to send, and these steps between them."""

from __future__ import annotations

import inspect
import json as spelling
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pylos.testing.connection import UpstreamConnection
from pylos.testing.message import Headers, Request, fields_of


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
Steps = Step | Sequence[Step]
OfRequest = Callable[[Request], Steps]
ByHand = Callable[[UpstreamConnection, Request], object]
Reply = Steps | OfRequest | ByHand
"""What one request gets: bytes, a step, several of them in order; a function of the request that gives them; or a
function of the connection and the request that does it by hand.
"""


class _Absent:
    """No JSON was given; None is JSON too."""


ABSENT = _Absent()


def reply(body: bytes | str = b"ok", status: int = 200, headers: Headers = (), *, json: Any = ABSENT) -> bytes:  # noqa: ANN401 - whatever there is in JSON
    """Spell a whole response with a Content-Length. With `json`, that is the body, and its type is told."""
    fields = fields_of(headers)
    if json is not ABSENT:
        body = spelling.dumps(json)
        if "content-type" not in {name.lower() for name, _ in fields}:
            fields.append(("Content-Type", "application/json"))
    sent = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"HTTP/1.1 {status} Scripted\r\n{lines}Content-Length: {len(sent)}\r\n\r\n"
    return head.encode("latin-1") + sent


def perform(reply: Reply, connection: UpstreamConnection, request: Request) -> None:
    """Carry out one reply."""
    if not callable(reply):
        _perform_steps(reply, connection)
    elif _takes_one(reply):
        _perform_steps(cast("OfRequest", reply)(request), connection)
    else:
        cast("ByHand", reply)(connection, request)


def _takes_one(function: Callable[..., object]) -> bool:
    """Whether a function is one of the request alone."""
    parameters = inspect.signature(function).parameters.values()
    by_place = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    needed = [one for one in parameters if one.kind in by_place and one.default is inspect.Parameter.empty]
    return len(needed) == 1


def _perform_steps(steps: Steps, connection: UpstreamConnection) -> None:
    for step in [steps] if isinstance(steps, bytes | Wait | Close | Reset | HalfClose) else steps:
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
