"""Run the table against Pylos and the peers on this machine: `PYTHONPATH=tests python -m probes [docs/probes.md]`.

Prints the totals and whatever did not pass; with a path, writes the page there. Ends with 1 when Pylos fails a probe.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from probes.peers import PEERS, Peer
from probes.report import Column, render
from probes.runner import run
from probes.subject import Pylos
from probes.table import PROBES
from probes.upstream import Upstream


def column(proxy: Peer | Pylos) -> Column:
    """All probes against one proxy."""
    with Upstream() as upstream, proxy.running(upstream.port) as address:
        return Column(proxy.version(), {probe.name: run(probe, address, upstream) for probe in PROBES})


def main(arguments: list[str]) -> int:
    """Run, print, write."""
    columns = [column(proxy) for proxy in (Pylos(), *PEERS) if proxy.installed]
    for one in columns:
        counts = Counter(result.verdict for result in one.results.values())
        sys.stdout.write(f"{one.version}: {counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail\n")
    lost = [result for one in columns[:1] for result in one.results.values() if result.verdict != "pass"]
    for result in lost if columns and columns[0].version.startswith("Pylos") else []:
        sys.stdout.write(f"  {result.verdict} {result.probe.name} ({result.short}): {' / '.join(result.why)}\n")
    if arguments:
        Path(arguments[0]).write_text(render(columns, datetime.now(UTC).date().isoformat()))
    return 1 if lost and columns[0].version.startswith("Pylos") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
