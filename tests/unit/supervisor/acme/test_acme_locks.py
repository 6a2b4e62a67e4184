"""Locks among machines: one has it, and what a dead one has is taken over."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylos.supervisor.acme import Storage
from pylos.supervisor.acme.errors import StorageError
from pylos.supervisor.acme.locks import KEPT, MARGIN, Held, Locks, clock

LEASE = 10.0


class Clock:
    """A time that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def machines(folder: Path, number: int, clock: Clock) -> list[Locks]:
    return [Locks(folder, LEASE, clock) for _ in range(number)]


def test_one_has_it_until_it_is_released(tmp_path: Path):
    one, other = machines(tmp_path, 2, Clock())
    held = one.take("shop")
    assert held is not None
    assert (other.take("shop"), one.take("shop")) == (None, None)
    assert other.holder("shop") == one.owner
    assert other.take("another") is not None
    held.release()
    assert not held.is_valid
    assert other.holder("shop") is None
    assert other.take("shop") is not None


def test_a_dead_one_loses_it_when_its_lease_was_seen_to_run_out(tmp_path: Path):
    clock = Clock()
    one, other = machines(tmp_path, 2, clock)
    held = one.take("shop")
    assert held is not None
    clock.now = 1000.0
    assert other.take("shop") is None, "seen for the first time"
    assert not held.is_valid, "by its own clock it was late long ago"
    clock.now += LEASE * MARGIN
    assert other.take("shop") is None
    clock.now += 0.1
    assert other.take("shop") is not None
    assert not held.renew()


def test_one_that_renews_keeps_it(tmp_path: Path):
    clock = Clock()
    one, other = machines(tmp_path, 2, clock)
    held = one.take("shop")
    assert held is not None
    for _ in range(20):
        clock.now += LEASE / 2
        assert held.renew()
        assert other.take("shop") is None
    assert held.is_valid


def test_a_lease_runs_out_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch):
    """Others take over meanwhile. Who wakes up must know."""
    asked: list[int] = []
    monkeypatch.setattr(time, "clock_gettime", lambda which: asked.append(which) or 1.0)
    assert clock() == 1.0
    assert asked == [getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)]
    assert inspect.signature(Locks).parameters["clock"].default is clock
    assert inspect.signature(Storage).parameters["clock"].default is clock


def test_what_is_left_of_a_lease(tmp_path: Path):
    now = Clock()
    held = machines(tmp_path, 1, now)[0].take("shop")
    assert held is not None
    now.now += LEASE / 4
    assert held.left == LEASE * 3 / 4
    now.now += LEASE
    assert held.left == 0.0


def test_of_two_that_take_over_one_wins(tmp_path: Path):
    clock = Clock()
    dead, one, other = machines(tmp_path, 3, clock)
    assert dead.take("shop") is not None
    assert (one.take("shop"), other.take("shop")) == (None, None)
    clock.now += LEASE * 2
    assert [locks.take("shop") is not None for locks in (one, other)] == [True, False]


def test_one_that_comes_to_itself_late_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It has judged that nobody has the lock; while it was away another one took, and gave back, and took it again."""
    clock = Clock()
    slow, other = machines(tmp_path, 2, clock)
    judged = slow._has_run_out
    taken: list[Held | None] = []

    def away(*arguments: object) -> bool:
        result = judged(*arguments)  # type: ignore[arg-type]
        for _ in range(KEPT + 5):
            taken.append(other.take("shop"))
            assert taken[-1] is not None
            taken[-1].release()
        taken.append(other.take("shop"))
        return result

    first = slow.take("shop")
    assert first is not None
    first.release()
    monkeypatch.setattr(slow, "_has_run_out", away)
    assert slow.take("shop") is None
    assert taken[-1] is not None
    assert taken[-1].is_valid
    assert taken[-1].renew()


def test_what_is_broken_or_being_written_is_held(tmp_path: Path):
    clock = Clock()
    (locks,) = machines(tmp_path, 1, clock)
    held = locks.take("shop")
    assert held is not None
    held.path.write_bytes(b'{"owner"')
    assert locks.take("shop") is None
    clock.now += LEASE * 2
    assert locks.take("shop") is not None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "locks").write_text("")
    with pytest.raises(StorageError, match="locks"):
        Locks(tmp_path / "locks").take("shop")


PROGRAM = """
import random, sys, time
from pathlib import Path
from pylos.supervisor.acme.locks import Locks
folder, counter = Path(sys.argv[1]), Path(sys.argv[1]) / "counter"
locks, done = Locks(folder, lease=30), 0
while done < 25:
    held = locks.take("counter")
    if held is None:
        time.sleep(random.random() / 1000)
        continue
    value = int(counter.read_text())
    assert held.renew()
    counter.write_text(str(value + 1))
    held.release()
    done += 1
"""


def test_real_processes_do_not_get_in_the_way_of_each_other(tmp_path: Path):
    """Each adds 25 to a number, by reading and writing it."""
    (tmp_path / "counter").write_text("0")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(90) for process in running] == [0] * 4
    assert (tmp_path / "counter").read_text() == "100"


STEP = st.tuples(st.integers(0, 2), st.sampled_from(["take", "renew", "release", "die"]), st.floats(0, LEASE))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_never_two(steps):
    """Whatever machines do, and whenever: no two are certain to have it."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        every = machines(Path(folder), 3, clock)
        held: dict[int, Held] = {}
        for number, what, later in steps:
            clock.now += later
            if what == "take" and number not in held:
                if (got := every[number].take("shop")) is not None:
                    held[number] = got
            elif what == "renew" and number in held:
                held[number].renew()
            elif what == "release" and number in held:
                held.pop(number).release()
            elif what == "die":
                held.pop(number, None)
            valid = [number for number, one in held.items() if one.is_valid]
            assert len(valid) <= 1
        for number in itertools.count():
            assert number < 10, "sooner or later everybody can have it"
            clock.now += LEASE * 2
            if every[0].take("shop") is not None:
                break
