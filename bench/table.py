"""The results as one Markdown table, with the runs it is made of and the verdict on the budget."""

from collections.abc import Iterator

from bench.budget import Results, judge
from bench.cells import CELLS, Cell
from bench.peers import PEERS
from bench.results import Result, Row

HEADER = ("proxy", "median", "spread", "user", "a second", "x nginx", "x HAProxy", "x base")
INTRODUCTION = """\
# Benchmark

Made by `bench/run` from its stored results; do not edit by hand. How it is measured: `bench/README.md`.

CPU figures are CPU time of all processes of a proxy per request, in microseconds; *user* is the part outside the
kernel. *Spread* is the least and the largest of the runs whose median is shown. *x nginx* and *x HAProxy* are ratios
to these peers in the same run: below 1 is less than theirs. *x base* is the ratio to the same proxy's row before.
Requests *a second* are shown only for completeness: load and backend share a core, so they say little.
"""


def document(results: Results) -> str:
    return "\n".join([INTRODUCTION, *_table(results), "", *_runs(results), "", *_budget(results)]).rstrip() + "\n"


def _table(results: Results) -> Iterator[str]:
    yield _line(HEADER)
    yield "|" + "---|" + "--:|" * (len(HEADER) - 1)
    for name, result in results.items():
        yield _line([f"**{CELLS[name].title}** ({name})", *[""] * (len(HEADER) - 1)])
        for row in result.rows:
            first, *rest = _cells_of(CELLS[name], result, row)
            yield _line([f"{first} ({row.detail})" if row.detail else first, *rest])


def terminal(result: Result) -> Iterator[str]:
    """One cell in aligned columns."""
    cell = CELLS[result.cell]
    yield f"\n{cell.title} ({cell.name})"
    lines = [list(HEADER), *(_cells_of(cell, result, row) for row in result.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    for first, *rest in lines:
        yield "  " + "  ".join(
            [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))]
        )
    yield from (f"  {label(row)}: {row.detail}" for row in result.rows if row.detail)


def _cells_of(cell: Cell, result: Result, row: Row) -> list[str]:
    ratios = [result.ratio(row.key, other) for other in ("nginx", "haproxy", row.base or "")]
    return [
        label(row),
        f"{number(row.median)} {cell.unit}",
        f"{number(min(row.values))} to {number(max(row.values))}",
        "" if row.user is None else f"{number(row.user)} us",
        "" if row.per_second is None else f"{sorted(row.per_second)[len(row.per_second) // 2]:,.0f}",
        *["" if ratio is None else f"{ratio:.2f}" for ratio in ratios],
    ]


def label(row: Row) -> str:
    return ", ".join(filter(None, (PEERS[row.peer].NAME, row.note)))


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _runs(results: Results) -> Iterator[str]:
    """Which parts were measured when, where, and with which versions; equal ones in one line."""
    yield "## Runs"
    yield ""
    runs: dict[tuple[str, str, str], list[str]] = {}
    for name, result in results.items():
        versions = ", ".join(
            f"{PEERS[peer].NAME if peer in PEERS else peer} {v}" for peer, v in result.versions.items()
        )
        runs.setdefault((result.measured[:10], result.machine, versions), []).append(name)
    for (day, machine, versions), names in sorted(runs.items()):
        yield f"- {day}, {', '.join(names)}: {machine}; {versions}."


def _budget(results: Results) -> Iterator[str]:
    yield "## Budget"
    yield ""
    yield from (f"- {verdict}" for verdict in judge(results))


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
