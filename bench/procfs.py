"""Figures of processes and of the machine from /proc; parsing apart from reading, so that it can be tested."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Ticks:
    """CPU time of whole processes in clock ticks."""

    user: int
    system: int


@dataclass(frozen=True)
class MachineTime:
    """CPU time of the machine in clock ticks, all CPUs; busy includes what the host took away (steal)."""

    busy: int
    total: int


def tree(root: int) -> list[int]:
    """`root` and all its descendants that live now, sorted."""
    parents = {pid: parent for pid in all_pids() if (parent := _parent_of(pid)) is not None}
    return descendants(root, parents)


def descendants(root: int, parents: dict[int, int]) -> list[int]:
    found = {root}
    while fresh := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= fresh
    return sorted(found)


def all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def cpu_ns(pids: Iterable[int]) -> int:
    """Time on a CPU in ns, user and system, of all threads that live now."""
    return sum(
        parse_schedstat(path.read_text()) for pid in pids for path in (PROC / str(pid) / "task").glob("*/schedstat")
    )


def parse_schedstat(text: str) -> int:
    return int(text.split(maxsplit=1)[0])


def ticks(pids: Iterable[int]) -> Ticks:
    all_ticks = [parse_stat_ticks((PROC / str(pid) / "stat").read_text()) for pid in pids]
    return Ticks(sum(each.user for each in all_ticks), sum(each.system for each in all_ticks))


def parse_stat_ticks(text: str) -> Ticks:
    fields = _stat_fields(text)
    return Ticks(user=int(fields[11]), system=int(fields[12]))


def parse_stat_parent(text: str) -> int:
    return int(_stat_fields(text)[1])


def start_time(pid: int) -> int | None:
    """Start of the process in ticks since boot: with the pid it names one process for ever. None when it is gone."""
    text = _stat_text(pid)
    return None if text is None else int(_stat_fields(text)[19])


def memory_kib(pids: Iterable[int], name: str) -> int:
    """Sum of one line of /proc/PID/status: `RssAnon`, `VmRSS`."""
    return sum(parse_kib((PROC / str(pid) / "status").read_text(), name) for pid in pids)


def proportional_kib(pids: Iterable[int]) -> int:
    """Sum of Pss: a page that several processes share counts once in all."""
    return sum(parse_kib((PROC / str(pid) / "smaps_rollup").read_text(), "Pss") for pid in pids)


def parse_kib(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise ValueError(f"no line {name!r} in the status of a process")


def machine_time() -> MachineTime:
    return parse_machine_time((PROC / "stat").read_text())


def parse_machine_time(text: str) -> MachineTime:
    # user nice system idle iowait irq softirq steal; guest time stands in user already.
    values = [int(value) for value in text.partition("\n")[0].split(maxsplit=9)[1:9]]
    total = sum(values)
    return MachineTime(busy=total - values[3] - values[4], total=total)


def kernel_network_pids() -> list[int]:
    """Find the ksoftirqd threads: packet work that was put off, ours while we measure."""
    return [pid for pid in all_pids() if _name_of(pid).startswith("ksoftirqd/")]


def clock_ticks() -> int:
    return os.sysconf("SC_CLK_TCK")


def _parent_of(pid: int) -> int | None:
    text = _stat_text(pid)
    return None if text is None else parse_stat_parent(text)


def _name_of(pid: int) -> str:
    text = _stat_text(pid)
    return "" if text is None else text[text.index("(") + 1 : text.rindex(")")]


def _stat_text(pid: int) -> str | None:
    try:
        return (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _stat_fields(text: str) -> Sequence[str]:
    """Fields from the third on (state): the second, the name, may hold blanks and parentheses."""
    return text[text.rindex(")") + 1 :].split()
