"""The asker's end: what an answer that comes late, or in part, does to the next question."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pylos.errors import GatewayError
from pylos.supervisor import line as lines
from pylos.supervisor.channel import framed
from pylos.supervisor.line import Line

Ends = tuple[Line, socket.socket]
QUESTION = {"type": "history"}


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """A line of little patience, and the socket of who answers."""
    monkeypatch.setattr(lines, "ANSWER_SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Line(ours, lambda: "it has ended"), theirs


def answer(number: int) -> bytes:
    return framed({"type": "done", "id": number, "text": "x" * 100})


def test_an_answer_that_comes_late_is_passed_over(ends: Ends) -> None:
    line, other = ends
    with pytest.raises(GatewayError, match=r"gave no answer within 0\.1 s$"):
        line.ask(QUESTION)
    other.sendall(answer(1) + answer(2))
    assert line.ask(QUESTION)["id"] == 2


@pytest.mark.parametrize("cut", [1, 4, 20])
def test_an_answer_that_breaks_off_is_the_last(ends: Ends, cut: int) -> None:
    line, other = ends
    other.sendall(answer(1)[:cut])
    with pytest.raises(GatewayError, match=r"gave no answer within 0\.1 s; a message broke off in the middle"):
        line.ask(QUESTION)
    other.sendall(answer(1)[cut:] + answer(2))
    with pytest.raises(GatewayError, match=r"^a message broke off in the middle, and nothing more can be asked"):
        line.ask(QUESTION)


def test_so_is_one_that_was_not_read_to_its_end(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    line, other = ends
    other.sendall(answer(1)[:20])
    with monkeypatch.context() as patched:
        patched.setattr(line, "_socket", Interrupted(line._socket))
        with pytest.raises(KeyboardInterrupt):
            line.ask(QUESTION)
    other.sendall(answer(1)[20:] + answer(2))
    with pytest.raises(GatewayError, match=r"^a message broke off in the middle"):
        line.ask(QUESTION)


class Interrupted:
    """A socket at which someone presses Ctrl-C once something was read."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.sendall = sock.sendall
        self._read = b""

    def recv(self, count: int) -> bytes:
        if self._read:
            raise KeyboardInterrupt
        self._read = self._socket.recv(count)
        return self._read


def test_a_question_that_is_taken_in_part_is_the_last(ends: Ends) -> None:
    line, other = ends
    with pytest.raises(GatewayError, match="broke off in the middle"):
        line.ask({"type": "reload", "table": "x" * 10_000_000})
    other.settimeout(0)
    with suppress(BlockingIOError):
        while other.recv(1 << 20):
            pass
    other.sendall(answer(2))
    with pytest.raises(GatewayError, match=r"^a message broke off in the middle"):
        line.ask(QUESTION)


def test_of_one_that_has_ended_is_told_how(ends: Ends) -> None:
    line, other = ends
    other.sendall(answer(1)[:20])
    other.close()
    line.tell({"type": "stop"})
    for _ in range(2):
        with pytest.raises(GatewayError, match=r"^it has ended$"):
            line.ask(QUESTION)
