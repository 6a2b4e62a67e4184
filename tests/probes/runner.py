"""Run probes against one proxy and say pass, warn or fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from probes.client import PATIENCE, play
from probes.observe import Observed, read_answers

if TYPE_CHECKING:
    from probes.probe import Probe
    from probes.upstream import Upstream

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Result:
    """How one probe ended."""

    probe: Probe
    verdict: Verdict
    #: what each right outcome missed
    why: tuple[str, ...]
    seen: Observed

    @property
    def short(self) -> str:
        """What came back, in a few words."""
        statuses = [str(answer.status) for answer in self.seen.answers]
        return ", ".join(statuses) or ("closed" if self.seen.closed else "silence")


def run(probe: Probe, address: tuple[str, int], upstream: Upstream, patience: float = PATIENCE) -> Result:
    """One probe on a connection of its own."""
    return judge(probe, observe(probe, address, upstream, patience))


def observe(probe: Probe, address: tuple[str, int], upstream: Upstream, patience: float = PATIENCE) -> Observed:
    """What happens on both sides of the proxy."""
    upstream.expect(probe.reply, trickle=probe.trickle)
    raw, closed = play(address, probe, patience)
    requests = upstream.take()
    answers, rest = read_answers(raw, closed=closed, first_is_head=probe.head)
    return Observed(raw, closed, answers, rest, requests)


def judge(probe: Probe, seen: Observed) -> Result:
    """Right, tolerated, or neither."""
    missed = [outcome.misses(seen) for outcome in probe.right]
    if not all(missed):
        return Result(probe, "pass", (), seen)
    why = tuple("; ".join(reasons) for reasons in missed)
    if any(not outcome.misses(seen) for outcome in probe.tolerated):
        return Result(probe, "warn", why, seen)
    return Result(probe, "fail", why, seen)
