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


DEAD = "a message broke off in the middle, and nothing more can be asked over this connection"


class GoneError(GatewayError):
    """The supervisor has hung up."""


class Line:
    """A connection to a supervisor. `gone` says how it ended, once it has."""

    def __init__(self, sock: socket.socket, gone: Callable[[], str]) -> None:
        sock.settimeout(ANSWER_SECONDS)
        self._socket = sock
        self._gone = gone
        self._numbers = itertools.count(1)
        self._asking = threading.Lock()
        self._inside = False
        """A message is sent or read in part: what follows would be taken for the rest of it."""

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Send a question and wait for its answer; raises the error that the answer tells.

        An answer that comes too late is passed over by the next question; one that stops in the middle is the end.
        """
        with self._asking:
            if self._inside:
                raise GatewayError(DEAD)
            number = next(self._numbers)
            try:
                with suppress(BrokenPipeError, ConnectionResetError):  # it may have been answered before it was asked
                    self._send({**question, "id": number})
                answer = self._receive()
                while answer["id"] not in (number, ANY_QUESTION):  # the answer to a question that was given up
                    answer = self._receive()
            except TimeoutError:
                raise self._late() from None
            except (OSError, EOFError):
                self._inside = False  # `gone` has more to say
                raise GoneError(self._gone()) from None
        if answer["type"] == "failed":
            raise error_of(answer)
        return answer

    def ask_for_the_end(self, question: Mapping[str, object]) -> None:
        """Send a question whose answer is that the supervisor ends, and wait for that, however long it takes.

        Raises the error that is answered in its place.
        """
        with self._asking:
            self._socket.settimeout(None)
            try:
                self._send({**question, "id": next(self._numbers)})
                answer = self._receive()
            except (OSError, EOFError):
                return
        raise error_of(answer)

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

    def _late(self) -> GatewayError:
        more = f"; {DEAD}" if self._inside else ""
        return GatewayError(f"the supervisor gave no answer within {ANSWER_SECONDS:g} s{more}")

    def _send(self, message: Mapping[str, object]) -> None:
        data = framed(message)
        self._inside = True
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self._inside = False  # nobody is there who could take it for something else
            raise
        self._inside = False

    def _receive(self) -> Message:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        body = self._exactly(length)
        self._inside = False
        return parsed(body)

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            self._inside = True
            data += piece
        return bytes(data)
