"""The command: choose cells, make sure the machine is fit, measure, store, write the table."""

import argparse
import os
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from bench import budget, cells, machine, results, table, tools
from bench.cells import CELLS, GROUPS, Cell
from bench.job import ROOT
from bench.measure import QUICK, Effort, measure
from bench.peers import PEERS, installed, nginx, pylos
from bench.process import BenchError
from bench.results import Result
from bench.stage import Stage, open_stage

DOCUMENT = ROOT / "docs" / "bench.md"
OPTIONAL_PEERS = ("envoy", "caddy", "asyncio")


def main() -> int:
    options = _options()
    words = os.environ.get("CELLS", "core").replace(",", " ").split()
    # Ended from outside, the benchmark still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if words == ["list"]:
            _list()
        elif options.table:
            _write_table()
        else:
            _bench(_chosen(words, options.peers), options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted; all that was started has been ended", file=sys.stderr)
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Compares Pylos with its peers by CPU time per request. CELLS=name,... picks cells (CELLS=list).",
    )
    parser.add_argument("--force", action="store_true", help="run on a busy machine; nothing is stored")
    parser.add_argument("--quick", action="store_true", help="one second each, to see that it works; nothing is stored")
    parser.add_argument("--peers", help="only these, such as nginx,haproxy; nothing is stored")
    parser.add_argument("--table", action="store_true", help="only write docs/bench.md again from the stored results")
    return parser.parse_args()


def _list() -> None:
    for name, cell in CELLS.items():
        print(f"{name:16} {cell.title}")
    print("\nGroups:")
    for name, members in GROUPS.items():
        print(f"{name:16} {', '.join(members) if name != 'all' else 'everything'}")


def _chosen(words: list[str], peers: str | None) -> list[Cell]:
    try:
        chosen = cells.choose(words)
    except KeyError as error:
        raise BenchError(f"no cell or group is called {error.args[0]} (CELLS=list shows them)") from None
    if peers is None:
        return chosen
    names = peers.replace(",", " ").split()
    if unknown := sorted(set(names) - PEERS.keys()):
        raise BenchError(f"no peer is called {', '.join(unknown)} (there are {', '.join(PEERS)})")
    fewer = [
        replace(cell, contestants=tuple(each for each in cell.contestants if each.peer in names)) for cell in chosen
    ]
    return [cell for cell in fewer if cell.contestants]


def _bench(chosen: list[Cell], options: argparse.Namespace) -> None:
    keep = not (options.force or options.quick or options.peers)
    with machine.lock():
        tools.ensure()
        versions = _versions(chosen)
        if not options.force and (busy := machine.why_busy()):
            raise BenchError(
                f"the machine is busy: {busy}. Figures from it would mean nothing. --force runs all the same."
            )
        machine.raise_descriptor_limit()
        with open_stage() as stage:
            disturbed = [cell.name for cell in chosen if not _measured(cell, stage, versions, options, keep=keep)]
    if not keep:
        print("\nNot stored: figures of a forced, quick or partial run are not to be published.")
        return
    _write_table()
    if disturbed:
        raise BenchError(f"others used the machine meanwhile; not stored: {', '.join(disturbed)}")


def _versions(chosen: list[Cell]) -> dict[str, str]:
    """Of the peers that are here. One that the comparison cannot do without must be here."""
    wanted = {contestant.peer for cell in chosen for contestant in cell.contestants}
    if wanted & set(OPTIONAL_PEERS):
        for packages in installed.install():
            print(f"bench: could not install {packages}", file=sys.stderr)
    found = {name: peer.version() for name, peer in PEERS.items() if name in wanted}
    absent = [name for name, version in found.items() if version is None]
    for name in absent:
        if name not in OPTIONAL_PEERS:
            raise BenchError(f"{PEERS[name].NAME} is not installed (looked for {_where(name)})")
        print(f"bench: {PEERS[name].NAME} is not installed: left out", file=sys.stderr)
    return {name: version for name, version in found.items() if version is not None}


def _surroundings() -> dict[str, str]:
    return {"wrk": tools.wrk_version(), "backend": f"nginx {nginx.version()}"}


def _where(name: str) -> str:
    return f"the module pylos._core of {pylos.python()}" if name == "pylos" else "its program in PATH"


def _measured(cell: Cell, stage: Stage, versions: dict[str, str], options: argparse.Namespace, *, keep: bool) -> bool:
    """Measures, shows and keeps one cell; False when others used the machine too much for it to be kept."""
    present = tuple(each for each in cell.contestants if each.peer in versions)
    began = time.monotonic()
    rows = measure(replace(cell, contestants=present), stage, QUICK if options.quick else Effort())
    used = {peer: versions[peer] for peer in versions if any(row.peer == peer for row in rows)}
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    result = Result(cell.name, when, machine.describe(), {**used, **_surroundings()}, rows)
    foreign = max((row.foreign or 0.0 for row in rows), default=0.0)
    print("\n".join(table.terminal(result)))
    print(f"  ({time.monotonic() - began:.0f} s; others took at most {foreign:.1%} of the CPU time)", flush=True)
    quiet = foreign <= machine.FOREIGN_LIMIT
    if keep and quiet:
        results.store(result)
    return quiet


def _write_table() -> None:
    stored = results.load(CELLS)
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(table.document(stored))
    print(f"\n{DOCUMENT.relative_to(ROOT)} written from {len(stored)} stored cells.")
    for verdict in budget.judge(stored):
        print(f"  {verdict}")
