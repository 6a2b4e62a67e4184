"""The bounds that Pylos is held to, judged from the results."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from bench.job import NUISANCES
from bench.results import Result

Results = dict[str, Result]

USER = 1.8
"""Microseconds of user CPU that a request may take."""
NGINX_USER = 2.4
"""What nginx took on the machine on which that bound was set."""


@dataclass(frozen=True)
class Verdict:
    """One bound and what was measured."""

    what: str
    measured: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit

    def __str__(self) -> str:
        outcome = "holds" if self.holds else "MISSED"
        return f"{self.what}: {self.measured:,.2f}{self.unit}, at most {self.limit:,.2f}{self.unit}: {outcome}"


def judge(results: Results) -> list[Verdict]:
    """Every bound that the results can answer."""
    return [*_against_peers(results), *_tls(results), *_absolute(results), *_against_itself(results)]


def _against_peers(results: Results) -> Iterator[Verdict]:
    bounds = (
        ("small-1h-c64", "small body, 1 header", ("nginx", "haproxy"), 0.9),
        ("small-13h-c64", "small body, 13 headers", ("nginx", "haproxy"), 0.9),
        ("100k-c64", "100 KB", ("haproxy",), 1.0),
    )
    for cell, what, others, limit in bounds:
        for other in others:
            if cell in results and (ratio := results[cell].ratio("pylos", other)) is not None:
                yield Verdict(f"total CPU, {what}, against {other}", ratio, limit, " x")


def _tls(results: Results) -> Iterator[Verdict]:
    bounds = (("tls-small-1h-c64", "CPU per request by TLS", 0.85), ("tls-handshakes", "CPU per full handshake", 0.5))
    for cell, what, limit in bounds:
        if cell in results and (ratio := results[cell].ratio("pylos", "nginx")) is not None:
            yield Verdict(f"{what}, against nginx", ratio, limit, " x")
    row = results["tls-idle"].row("pylos") if "tls-idle" in results else None
    if row is not None:
        yield Verdict("memory per idle connection by TLS", row.median, 8192, " B")


def _absolute(results: Results) -> Iterator[Verdict]:
    for cell, what in (("small-1h-c64", "1 header"), ("small-13h-c64", "13 headers")):
        row = results[cell].row("pylos") if cell in results else None
        if row is not None and row.user is not None:
            yield Verdict(f"user CPU, small body, {what}", row.user, USER, " us")
        nginx = results[cell].row("nginx") if cell in results else None
        if row is not None and row.user is not None and nginx is not None and nginx.user:
            # Machines differ by a factor, and so does one machine from day to day.
            scaled = row.user * NGINX_USER / nginx.user
            yield Verdict(f"the same where nginx takes {NGINX_USER} us, {what}", scaled, USER, " us")
    for cell, what, limit, unit in (
        ("syscalls", "system calls per request", 4.1, ""),
        ("idle", "memory per idle connection", 1500, " B"),
    ):
        row = results[cell].row("pylos") if cell in results else None
        if row is not None:
            yield Verdict(what, row.median, limit, unit)


def _against_itself(results: Results) -> Iterator[Verdict]:
    if "routes" in results:
        ratio = results["routes"].ratio("pylos, 1,000 routes, access log, metrics", "pylos, 1 route")
        if ratio is not None:
            yield Verdict("1,000 routes, access log and metrics against one route without", ratio, 1.25, " x")
    yield from _policies(results)
    yield from _lanes(results)
    if "workers" in results:
        ratio, nginx = (
            results["workers"].ratio(f"{peer}, 2 workers", f"{peer}, 1 worker") for peer in ("pylos", "nginx")
        )
        if ratio is not None:
            # Two workers share the two cores with load and backend; nginx shows what that alone costs.
            yield Verdict("two workers against one (1.1, or nginx's own ratio)", ratio, max(1.1, nginx or 0.0), " x")


def _lanes(results: Results) -> Iterator[Verdict]:
    """Judge lanes alone, and what they do to others."""
    if "calls" in results:
        calls = results["calls"]
        one = calls.row("pylos, one lane")
        if one is not None and one.per_second:
            yield Verdict("time of a call where one lane is asked all it can", 1e6 / median(one.per_second), 2.0, " us")
        if (ratio := calls.ratio("pylos, two lanes on one core", "pylos, one lane")) is not None:
            yield Verdict("CPU per call, two lanes on one core against one", ratio, 1.15, " x")
    for name, what in NUISANCES.items():
        cell = f"beside-{name}"
        for row in results[cell].rows if cell in results else ():
            if row.base is not None and (ratio := results[cell].ratio(row.key, row.base)) is not None:
                yield Verdict(f"p99 of other routes beside a policy that {what}, against a process", ratio, 1.1, " x")


def _policies(results: Results) -> Iterator[Verdict]:
    """Judge what meeting a policy adds."""
    bounds = (("a `def` that does nothing", 2.0), ("an `async def` that does nothing", 4.0))
    for cell in ("policies-c16", "policies-c64"):
        base = results[cell].row("pylos, no policy") if cell in results else None
        if base is None:
            continue
        for note, limit in (*bounds, ("a decision that is remembered", 0.5)):
            if (row := results[cell].row(f"pylos, {note}")) is not None:
                yield Verdict(f"{note} adds, {cell}", row.median - base.median, limit, " us")
