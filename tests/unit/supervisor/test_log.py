import json
import sys
import threading
import time
from io import StringIO

import pytest

from pylos.supervisor import log


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Broken(StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_line_for_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log.warning("odd", "something\nis odd", count=2)
    [line] = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("ts").endswith("Z")
    assert told == {"level": "warn", "event": "odd", "message": "something\nis odd", "count": 2}


@pytest.mark.parametrize("tell,text", [(log.info, "pylos  well"), (log.error, "pylos  error: well")])
def test_a_line_for_people(monkeypatch: pytest.MonkeyPatch, tell: object, text: str) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert callable(tell)
    tell("event", "well", count=2)
    assert stream.getvalue().endswith(f"{text}\n")


def test_nobody_who_reads_is_no_reason_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    log.info("event", "well")


class Blocked(StringIO):
    """Takes nothing until someone reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read_by_someone = threading.Event()

    def write(self, text: str) -> int:
        self.read_by_someone.wait()
        return super().write(text)


def test_nobody_who_reads_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Blocked()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(log, "_writer", writer := log._Writer())
    began = time.monotonic()
    for number in range(3 * log.MOST_WAITING):
        log.info("told", "well", number=number)
    assert time.monotonic() - began < 10 * log.PATIENCE

    stream.read_by_someone.set()
    writer.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [line["number"] for line in lines if line["event"] == "told"]
    assert told == list(range(len(told))), "the oldest, in order"
    (lost,) = [line["count"] for line in lines if line["event"] == "events_lost"]
    assert len(told) + lost == 3 * log.MOST_WAITING
