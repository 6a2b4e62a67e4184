"""What a run says: the figures, and whether everything has held."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from soak.found import Found
from soak.watch import SHORT, SHORT_SLACK, SLACK, Sample

SUSPICIOUS = ("panic", "Traceback", "a defect of Pylos")
MIB = 1 << 20


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell(found: Found) -> bool:
    """Write the report; gives whether everything has held."""
    _judge(found)
    ledger = found.site.ledger
    for line in [*_requests(found), *_log(found), *_taken(found), *_chaos(found), *_events(found.site.served.events)]:
        say(line)
    if not ledger.broken_count:
        say(f"\nEverything has held. Again: {found.options.again()}")
        return True
    say(f"\nBROKEN, {ledger.broken_count} times (seconds since the start):")
    for line in ledger.broken:
        say(f"  {line}")
    say(f"\nLogs: {found.site.served.folder}. Again: {found.options.again()}")
    return False


def _judge(found: Found) -> None:
    """Find what can be found only at the end."""
    ledger = found.site.ledger
    if found.exit_code:
        ledger.breach(f"the supervisor ended with exit code {found.exit_code}")
    if found.site.log_lines.torn > found.site.gateways - 1:
        ledger.breach(f"{found.site.log_lines.torn} lines of the access log are torn")
    for line in found.site.served.events.read_text(errors="replace").splitlines():
        if any(word in line for word in SUSPICIOUS):
            ledger.breach(f"in the events: {line[:500]}")
    if found.before is None or found.after is None:
        ledger.breach("the run did not come to its end")
    else:
        _compare(found, found.before, found.after)


def _compare(found: Found, before: Sample, after: Sample) -> None:
    """Find what is more at rest than it was after warming up."""
    ledger = found.site.ledger
    slack = SHORT_SLACK if found.options.seconds < SHORT else SLACK
    for name in ("gateway", "supervisor"):
        for growth in getattr(after, name).growth(getattr(before, name), slack):
            ledger.breach(f"the {name} takes more than after warming up: {growth}")
    if after.snapshots != 1:
        ledger.breach(f"{after.snapshots:g} configurations a worker are in use at rest")
    if after.panics:
        ledger.breach(f"{after.panics:g} requests met a defect")
    if after.lines_dropped:
        ledger.breach(f"{after.lines_dropped:g} lines of the log were dropped")


def _requests(found: Found) -> list[str]:
    ledger = found.site.ledger
    lines = [
        "",
        f"{'requests':14}{'answered':>10}{'explained':>11}{'asked again':>13}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}",
    ]
    for kind in sorted(ledger.times.keys() | ledger.explained.keys()):
        figures = [""] * 3
        if times := ledger.times.get(kind):
            figures = [f"{1000 * seconds:.1f}" for seconds in (times.share(0.5), times.share(0.99), times.most)]
        counts = f"{ledger.answered[kind]:10}{ledger.explained[kind]:11}{ledger.spared[kind]:13}"
        lines.append(f"{kind:14}{counts}" + "".join(f"{figure:>9}" for figure in figures))
    total = ledger.answered.total()
    lines.append(f"{'in all':14}{total:10}{ledger.explained.total():11}{ledger.spared.total():13}")
    lines.append(f"clients that left in the middle: {ledger.left}; requests that the limit let pass: {ledger.admitted}")
    return lines


def _log(found: Found) -> list[str]:
    ledger, torn = found.site.ledger, found.site.log_lines.torn
    return [
        f"lines of the access log: {ledger.lines}; lost with a killed process: {ledger.lines_excused}, torn: {torn}"
    ]


def _taken(found: Found) -> list[str]:
    lines = ["", f"{'at rest':14}{'MiB':>8}{'descriptors':>13}{'threads':>9}{'snapshots':>11}"]
    for when, sample in (("before", found.before), ("after", found.after)):
        if sample is not None:
            lines += _sample(when, sample)
    return [*lines, f"gateway at most while it was harmed: {found.most_rss / MIB:.1f} MiB"]


def _sample(when: str, sample: Sample) -> list[str]:
    return [
        f"{name:6}{when:>8}{taken.rss / MIB:8.1f}{taken.descriptors:13}{taken.threads:9}{told:>11}"
        for name, taken, told in (
            ("gatew.", sample.gateway, f"{sample.snapshots:g}"),
            ("super.", sample.supervisor, ""),
        )
    ]


def _chaos(found: Found) -> list[str]:
    done = ", ".join(f"{name} {count}" for name, count in found.chaos.done.most_common())
    (found.site.served.folder / "story.log").write_text("\n".join(found.chaos.story) + "\n")
    return ["", f"done: {done or 'nothing'}", f"configurations: {found.site.document.number}"]


def _events(path: Path) -> list[str]:
    events: Counter[str] = Counter()
    for line in path.read_text(errors="replace").splitlines():
        try:
            events[json.loads(line)["event"]] += 1
        except (ValueError, KeyError, TypeError):
            events["(no event)"] += 1
    return ["events: " + ", ".join(f"{name} {count}" for name, count in events.most_common())]
