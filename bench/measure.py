"""The kinds of measurement. Each runs one cell and returns its rows."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeVar

from bench import driver, handshake, idle, procfs, strace, wrk
from bench.cells import Cell, Kind
from bench.foreign import Watch
from bench.job import Contestant, Load
from bench.results import Row
from bench.stage import Proxy, Stage, disturbed

T = TypeVar("T")

NS_PER_US = 1000
SETTLE_SECONDS = 2.0
SYSCALL_SECONDS = 8
"""Long enough that what only a new connection costs no longer shows."""
LEAST_CALLS = 0.02
"""What is called more seldom per request is not named."""


@dataclass(frozen=True)
class Effort:
    """How long and how often."""

    rounds: int = 5
    seconds: int = 4
    long_seconds: int = 20
    """One run that is long enough to split user from system time by ticks of 10 ms."""
    disturbed_seconds: int = 10
    """Long enough for a lane to be found stuck and replaced."""
    repeats: int = 3
    """Fresh starts for memory, runs for system calls."""


QUICK = Effort(rounds=1, seconds=1, long_seconds=1, disturbed_seconds=1, repeats=1)


@dataclass(frozen=True)
class Run:
    """What one run of load cost the proxy."""

    cpu_us: float
    """CPU time per request."""
    user_us: float
    """User time per request: exact only in a long run."""
    per_second: float
    foreign: float
    """Share of the machine's CPU time that others took."""


def measure(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    return MEASUREMENTS[cell.kind](cell, stage, effort)


def cpu_per_request(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """All proxies of the cell are up and take turns under load, so that a slow minute of the machine hits all."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(stage.proxy(each, cell.load.path)) for each in cell.contestants]
        for proxy in proxies:
            run(stage, proxy, cell.load, 1)
        runs: dict[str, list[Run]] = {each.key: [] for each in cell.contestants}
        for turn in range(effort.rounds):
            for proxy in rotated(proxies, turn):
                runs[proxy.contestant.key].append(run(stage, proxy, cell.load, effort.seconds))
        long = {proxy.contestant.key: run(stage, proxy, cell.load, effort.long_seconds) for proxy in proxies}
    return [_cpu_row(each, runs[each.key], long[each.key]) for each in cell.contestants]


def rotated(proxies: list[T], turn: int) -> list[T]:
    """No proxy is always first."""
    first = turn % len(proxies)
    return proxies[first:] + proxies[:first]


def run(stage: Stage, proxy: Proxy, load: Load, seconds: int) -> Run:
    placement = proxy.contestant.placement
    stage.backend.move_to(placement.load)
    pids = proxy.process.pids()
    watch = Watch([*pids, *stage.backend.pids()])
    cpu, ticks = procfs.cpu_ns(pids), procfs.ticks(pids)
    proxy.scrape()
    count = wrk.run(load, proxy.site.port, seconds, placement.load)
    foreign = watch.share()
    if proxy.process.pids() != pids:
        raise proxy.process.fail("its processes changed during a run")
    cpu_us = (procfs.cpu_ns(pids) - cpu) / NS_PER_US / count.requests
    user_us = cpu_us * user_share(ticks, procfs.ticks(pids))
    return Run(cpu_us, user_us, count.requests / count.seconds, foreign)


def user_share(before: procfs.Ticks, after: procfs.Ticks) -> float:
    user, system = after.user - before.user, after.system - before.system
    return user / (user + system) if user + system else 0.0


def _cpu_row(contestant: Contestant, runs: list[Run], long: Run) -> Row:
    return replace(
        Row.of(contestant, [each.cpu_us for each in runs]),
        user=long.user_us,
        per_second=[each.per_second for each in runs],
        foreign=max(each.foreign for each in [*runs, long]),
    )


def system_calls(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """Count the calls of all processes of a proxy, per request, in runs of their own: strace slows a proxy down."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(stage.proxy(each, cell.load.path)) for each in cell.contestants]
        for proxy in proxies:
            run(stage, proxy, cell.load, 1)
        counted: dict[str, list[dict[str, float]]] = {each.key: [] for each in cell.contestants}
        for turn in range(effort.repeats):
            for proxy in rotated(proxies, turn):
                counted[proxy.contestant.key].append(_calls_per_request(proxy, cell.load))
    return [_syscall_row(each, counted[each.key]) for each in cell.contestants]


def _calls_per_request(proxy: Proxy, load: Load) -> dict[str, float]:
    report = proxy.site.folder / "strace"
    cpus = proxy.contestant.placement.load
    with strace.attached(proxy.process.pids(), report, cpus):
        count = wrk.run(load, proxy.site.port, SYSCALL_SECONDS, cpus)
    return {name: calls / count.requests for name, calls in strace.parse(report.read_text()).items()}


def _syscall_row(contestant: Contestant, counted: list[dict[str, float]]) -> Row:
    totals = [sum(each.values()) for each in counted]
    last = sorted(counted[-1].items(), key=lambda item: -item[1])
    detail = ", ".join(f"{name} {calls:.2f}" for name, calls in last if calls >= LEAST_CALLS)
    return replace(Row.of(contestant, totals), detail=detail)


def memory_at_rest(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """Resident MiB of all processes a while after the start and a few requests; the detail has shared pages once."""
    rows = []
    for contestant in cell.contestants:
        resident, proportional = [], 0.0
        for _ in range(effort.repeats):
            with stage.proxy(contestant, cell.load.path) as proxy:
                time.sleep(SETTLE_SECONDS)
                resident.append(procfs.memory_kib(proxy.process.pids(), "VmRSS") / 1024)
                proportional = procfs.proportional_kib(proxy.process.pids()) / 1024
        detail = f"{proportional:.1f} MiB with shared pages counted once"
        rows.append(replace(Row.of(contestant, resident), detail=detail))
    return rows


def idle_memory(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """Growth of RssAnon in bytes per connection that has had one request and is kept."""
    rows = []
    for contestant in cell.contestants:
        grown = []
        for _ in range(effort.repeats):
            with stage.proxy(contestant, cell.load.path) as proxy:
                grown.append(_growth_per_connection(proxy, cell.load.connections))
        rows.append(Row.of(contestant, grown))
    return rows


def _growth_per_connection(proxy: Proxy, count: int) -> float:
    tls = proxy.site.tls
    with ExitStack() as stack:
        idle.open_connections(stack, proxy.site.port, 10, tls=tls)
        time.sleep(SETTLE_SECONDS)
        pids = proxy.process.pids()
        before = procfs.memory_kib(pids, "RssAnon")
        kept = idle.open_connections(stack, proxy.site.port, count, tls=tls)
        time.sleep(SETTLE_SECONDS)
        after = procfs.memory_kib(pids, "RssAnon")
        if (still := idle.still_open(kept)) != count:
            raise proxy.process.fail(f"closed {count - still} of {count} idle connections")
    return (after - before) * 1024 / count


def handshakes(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """CPU time of a connection on which nothing is said but the handshake, without a session from before."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(stage.proxy(each, cell.load.path)) for each in cell.contestants]
        runs: dict[str, list[Run]] = {each.key: [] for each in cell.contestants}
        for turn in range(effort.rounds):
            for proxy in rotated(proxies, turn):
                runs[proxy.contestant.key].append(_shake_hands(stage, proxy, effort.seconds))
    return [
        replace(
            Row.of(each, [one.cpu_us for one in runs[each.key]]),
            per_second=[1e6 / one.cpu_us for one in runs[each.key]],
            foreign=max(one.foreign for one in runs[each.key]),
            detail="a second: of the proxy's CPU",
        )
        for each in cell.contestants
    ]


def _shake_hands(stage: Stage, proxy: Proxy, seconds: int) -> Run:
    placement = proxy.contestant.placement
    pids = proxy.process.pids()
    watch = Watch([*pids, *stage.backend.pids()])
    cpu = procfs.cpu_ns(pids)
    count = handshake.run(proxy.site.port, seconds, placement.load)
    return Run((procfs.cpu_ns(pids) - cpu) / NS_PER_US / count, 0.0, count / seconds, watch.share())


def calls_of_lanes(cell: Cell, _: Stage, effort: Effort) -> list[Row]:
    """CPU time of a call to a lane, and how many there are a second."""
    runs: dict[str, list[driver.Calls]] = {each.key: [] for each in cell.contestants}
    for turn in range(effort.rounds):
        for each in rotated(list(cell.contestants), turn):
            runs[each.key].append(driver.run(each, cell.load.connections, effort.seconds))
    return [
        replace(
            Row.of(each, [calls.cpu_us for calls in runs[each.key]]),
            per_second=[calls.per_second for calls in runs[each.key]],
            detail=f"in the lanes {median(calls.lanes_us for calls in runs[each.key]):.2f} us",
        )
        for each in cell.contestants
    ]


def slowest(cell: Cell, stage: Stage, effort: Effort) -> list[Row]:
    """Give the 99th percentile while something disturbs. Each proxy is up alone: what disturbs it disturbs no other."""
    values: dict[str, list[float]] = {each.key: [] for each in cell.contestants}
    for turn in range(effort.rounds):
        for each in rotated(list(cell.contestants), turn):
            with stage.proxy(each, cell.load.path) as proxy:
                run(stage, proxy, cell.load, 1)
                with disturbed(proxy):
                    count = wrk.run(cell.load, proxy.site.port, effort.disturbed_seconds, each.placement.load)
                values[each.key].append(count.p99_ms)
    return [Row.of(each, values[each.key]) for each in cell.contestants]


MEASUREMENTS: dict[Kind, Callable[[Cell, Stage, Effort], list[Row]]] = {
    "cpu": cpu_per_request,
    "syscalls": system_calls,
    "rest": memory_at_rest,
    "idle": idle_memory,
    "handshakes": handshakes,
    "calls": calls_of_lanes,
    "p99": slowest,
}
