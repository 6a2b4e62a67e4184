"""docs/probes.md: totals for each proxy and a row for each probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from probes.probe import Probe
from probes.runner import Result
from probes.table import GROUPS

INTRODUCTION = """# HTTP/1.1 probes

{count} raw-byte probes of our own, each derived from a section of RFC 9110, 9112 or 3986. They live in
`tests/probes/table/`; `make test` runs every one against Pylos, and the short ones once more a byte at a time. This
page is written by `PYTHONPATH=tests python -m probes docs/probes.md`; last run on {date}.

A probe sends its bytes, then a sound `GET /next` on the same connection, and looks at both sides: the answers, whether
the connection closed, and what reached the upstream. A request that must be refused passes only when the status is
right, the upstream saw no request, the proxy closed, and nothing behind it was answered.

- **pass**: what the RFC asks for or, where it leaves a choice, the strict one.
- **warn**: a laxer choice that the RFC allows.
- **fail**: anything else.

nginx and HAProxy run as Debian installs them, with a configuration that does the same job (`tests/probes/peers.py`):
upstream connections are kept, X-Forwarded-For is set, WebSocket upgrades pass. Some of their fails are a matter of more
configuration; the table compares what one gets without it. In brackets: the statuses that came back.
"""


@dataclass(frozen=True)
class Column:
    """One proxy's results."""

    version: str
    results: dict[str, Result]


def render(columns: Sequence[Column], date: str) -> str:
    """The whole page."""
    count = sum(len(module.PROBES) for _, module in GROUPS)
    parts = [INTRODUCTION.format(count=count, date=date), _totals(columns)]
    parts += [_group(title, module.PROBES, columns) for title, module in GROUPS]
    return "\n".join(parts)


def _totals(columns: Sequence[Column]) -> str:
    rows = ["## Totals", "", "| | pass | warn | fail |", "|---|---:|---:|---:|"]
    for column in columns:
        counts = Counter(result.verdict for result in column.results.values())
        rows.append(f"| {column.version} | {counts['pass']} | {counts['warn']} | {counts['fail']} |")
    return "\n".join([*rows, ""])


def _group(title: str, probes: Sequence[Probe], columns: Sequence[Column]) -> str:
    names = " | ".join(column.version.split()[0] for column in columns)
    rows = [f"## {title}", "", f"| probe | what it asks | section | {names} |", "|---|---|---|" + "---|" * len(columns)]
    for probe in probes:
        cells = " | ".join(_cell(column.results[probe.name]) for column in columns)
        rows.append(f"| {probe.name} | {probe.about.replace('|', chr(92) + '|')} | {probe.section} | {cells} |")
    return "\n".join([*rows, ""])


def _cell(result: Result) -> str:
    verdict = result.verdict if result.verdict == "pass" else f"**{result.verdict}**"
    return f"{verdict} ({result.short})"
