from pathlib import Path

import pytest

from bench import machine, measure
from bench.foreign import Watch
from bench.process import BenchError
from bench.procfs import MachineTime, Ticks


def test_a_second_benchmark_is_refused(tmp_path: Path):
    path = tmp_path / "lock"
    with machine.lock(path), pytest.raises(BenchError, match="another benchmark"), machine.lock(path):
        pass
    with machine.lock(path):
        pass


@pytest.mark.parametrize(
    "idle,load,why",
    [(0.99, 0.2, None), (0.5, 0.2, "idle for 50%"), (0.99, 7.0, "load average is 7.00")],
)
def test_a_busy_machine_is_told_why(monkeypatch: pytest.MonkeyPatch, idle: float, load: float, why: str | None):
    monkeypatch.setattr(machine, "idle_share", lambda: idle)
    monkeypatch.setattr(machine, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (load, load, load))
    said = machine.why_busy()
    assert said is None if why is None else why in (said or "")


def test_an_old_load_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    loads = iter([3.0, 1.5, 0.9])
    monkeypatch.setattr(machine, "idle_share", lambda: 1.0)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (next(loads), 0, 0))
    assert machine.why_busy() is None
    assert next(loads, None) is None


def test_the_idle_share_is_of_the_sample_alone(monkeypatch: pytest.MonkeyPatch):
    times = iter([MachineTime(100, 1000), MachineTime(140, 1400)])
    monkeypatch.setattr(machine.procfs, "machine_time", lambda: next(times))
    monkeypatch.setattr(machine, "SAMPLE_SECONDS", 0.0)
    assert machine.idle_share() == pytest.approx(0.9)


def test_the_machine_describes_itself():
    assert "Linux" in machine.describe()


def test_what_others_used_is_what_is_left(monkeypatch: pytest.MonkeyPatch):
    times = iter([MachineTime(0, 0), MachineTime(300, 400)])
    monkeypatch.setattr("bench.foreign.procfs.machine_time", lambda: next(times))
    monkeypatch.setattr("bench.foreign.procfs.clock_ticks", lambda: 100)
    ours = iter([1.0, 3.0])
    monkeypatch.setattr(Watch, "_ours", lambda _: next(ours))
    assert Watch([]).share() == pytest.approx((3.0 - 2.0) / 4.0)


def test_the_user_share_is_of_the_difference():
    assert measure.user_share(Ticks(100, 50), Ticks(130, 120)) == pytest.approx(0.3)
    assert measure.user_share(Ticks(1, 1), Ticks(1, 1)) == 0.0


def test_turns_rotate():
    assert [measure.rotated(["a", "b", "c"], turn) for turn in (0, 1, 5)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
    ]
