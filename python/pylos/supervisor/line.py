"""The asker's end of a supervisor's line, without an event loop: one question at a time, each with its answer."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pylos.errors import GatewayError
from pylos.supervisor.channel import LENGTH, Message, framed, parsed
from pylos.supervisor.failed import error_of

ANSWER_SECONDS = 60.0
ANY_QUESTION = 0
"""The number of an answer to whatever is asked."""


class Line:
    """A connection to a supervisor. `gone` says how it ended, once it has."""

    def __init__(self, sock: socket.socket, gone: Callable[[], str]) -> None:
        sock.settimeout(ANSWER_SECONDS)
        self._socket = sock
        self._gone = gone
        self._numbers = itertools.count(1)
        self._asking = threading.Lock()

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Send a question and wait for its answer; raises the error that the answer tells."""
        with self._asking:
            number = next(self._numbers)
            try:
                with suppress(BrokenPipeError, ConnectionResetError):  # it may have been answered before it was asked
                    self._send({**question, "id": number})
                answer = self._receive()
                while answer["id"] not in (number, ANY_QUESTION):  # the answer to a question that was given up
                    answer = self._receive()
            except TimeoutError:
                raise GatewayError(f"the supervisor gave no answer within {ANSWER_SECONDS:g} s") from None
            except (OSError, EOFError):
                raise GatewayError(self._gone()) from None
        if answer["type"] == "failed":
            raise error_of(answer)
        return answer

    def tell(self, order: Mapping[str, object]) -> None:
        """Send what has no answer; a supervisor that has ended needs no orders."""
        with self._asking:
            try:
                self._send({**order, "id": next(self._numbers)})
            except OSError:
                return

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _send(self, message: Mapping[str, object]) -> None:
        self._socket.sendall(framed(message))

    def _receive(self) -> Message:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return parsed(self._exactly(length))

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)
