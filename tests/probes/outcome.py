"""The ways a probe may end. Each says why what was seen is something else.

`Rejected`    refused before anything reached the upstream; closed; nothing after it was answered
`BodyRefused` the same for a fault found while the body streams: the upstream never got a whole request
`Answered`    the proxy's own answer to a sound request; the connection may go on
`Forwarded`   one request reached the upstream for each answer, and all conditions hold
`BadGateway`  the upstream's answer was refused
`Early`       the upstream's final answer came through before the request was whole
`Cut`         the answer had begun, so it ends visibly incomplete
`SpeaksHttp2` the client's preface was answered in kind
`Dropped`     the connection closes without a word
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.probe import NEXT_BODY

if TYPE_CHECKING:
    from probes.check import Check
    from probes.observe import Answer, Observed

BAD_REQUEST = frozenset({400})


@dataclass(frozen=True)
class Rejected:
    """An error status and a close, before anything was forwarded."""

    statuses: frozenset[int] = BAD_REQUEST
    #: a close without any answer is right too
    silent: bool = False
    #: sound requests that were answered before the bad one
    after: int = 0

    def misses(self, seen: Observed) -> list[str]:
        """Status, no request, a close, no further answer."""
        missed = [] if seen.closed else ["connection left open"]
        if len(seen.requests) != self.after:
            missed.append(f"upstream saw {[r.line for r in seen.requests]!r}")
        return missed + _one_refusal(seen, self.statuses, silent=self.silent, after=self.after)


@dataclass(frozen=True)
class BodyRefused:
    """The fault lies behind a sound head: the request may have begun, it must not be completed."""

    statuses: frozenset[int] = BAD_REQUEST
    silent: bool = False

    def misses(self, seen: Observed) -> list[str]:
        """As `Rejected`, but an incomplete request at the upstream is fine."""
        missed = [] if seen.closed else ["connection left open"]
        if len(seen.requests) > 1 or any(request.complete for request in seen.requests):
            missed.append(f"upstream completed {[r.line for r in seen.requests]!r}")
        return missed + _one_refusal(seen, self.statuses, silent=self.silent, after=0)


def _one_refusal(seen: Observed, statuses: frozenset[int], *, silent: bool, after: int) -> list[str]:
    missed = [f"stray bytes {seen.rest[:60]!r}"] if seen.rest else []
    answers = seen.answers[after:]
    if not answers:
        return missed if silent else [*missed, "no answer"]
    if len(answers) > 1:
        missed.append(f"{len(answers)} answers")
    if answers[0].status not in statuses:
        missed.append(f"status {answers[0].status}")
    return missed + _flaws(answers)


@dataclass(frozen=True)
class Answered:
    """The proxy answers by itself; what follows may be served."""

    statuses: frozenset[int]

    def misses(self, seen: Observed) -> list[str]:
        """Nothing of the probe was forwarded, the follow-up is served or the connection closed."""
        missed = [f"upstream saw {r.line!r}" for r in seen.probed]
        if not seen.answers:
            return [*missed, "no answer"]
        if seen.answers[0].status not in self.statuses:
            missed.append(f"status {seen.answers[0].status}")
        return missed + _follow_up(seen, first=1) + _flaws(seen.answers)


@dataclass(frozen=True)
class Forwarded:
    """The request went through."""

    checks: tuple[Check, ...] = ()
    status: int = 200
    requests: int = 1

    def misses(self, seen: Observed) -> list[str]:
        """As many requests as answers, none with a flaw, all conditions met."""
        missed = []
        if len(seen.probed) != self.requests:
            missed.append(f"upstream saw {[r.line for r in seen.probed]!r}")
        statuses = [answer.status for answer in seen.answers[: self.requests]]
        if statuses != [self.status] * self.requests:
            missed.append(f"statuses {statuses}")
        missed += [f"incomplete request {r.line!r}" for r in seen.requests if not r.complete]
        missed += [flaw for request in seen.requests for flaw in request.flaws]
        missed += [f"incomplete answer {a.line!r}" for a in seen.answers if not a.complete]
        missed += _follow_up(seen, first=self.requests) + _flaws(seen.answers)
        return missed or [miss for check in self.checks if (miss := check.miss(seen))]


@dataclass(frozen=True)
class BadGateway:
    """The upstream's answer is not passed on."""

    statuses: frozenset[int] = frozenset({502})

    def misses(self, seen: Observed) -> list[str]:
        """An own error instead, and an unharmed follow-up or a close."""
        if not seen.answers:
            return ["no answer"]
        missed = []
        if seen.answers[0].status not in self.statuses:
            missed.append(f"status {seen.answers[0].status}")
        missed += [f"incomplete answer {a.line!r}" for a in seen.answers if not a.complete]
        return missed + _follow_up(seen, first=1) + _flaws(seen.answers)


@dataclass(frozen=True)
class Early:
    """The upstream's answer overtook the request's body."""

    status: int
    body: bytes

    def misses(self, seen: Observed) -> list[str]:
        """That answer, whole, and nothing else."""
        if len(seen.answers) != 1 or seen.rest:
            return [f"{len(seen.answers)} answers, stray bytes {seen.rest[:60]!r}"]
        answer = seen.answers[0]
        missed = [] if answer.complete else ["incomplete answer"]
        if (answer.status, answer.body) != (self.status, self.body):
            missed.append(f"status {answer.status}, body {answer.body[:40]!r}")
        return missed + answer.flaws


@dataclass(frozen=True)
class Cut:
    """The head had gone out, so the body ends short and the connection closes."""

    def misses(self, seen: Observed) -> list[str]:
        """One answer, incomplete, closed."""
        missed = [] if seen.closed else ["connection left open"]
        if len(seen.answers) != 1 or seen.rest:
            return [*missed, f"{len(seen.answers)} answers, stray bytes {seen.rest[:60]!r}"]
        if seen.answers[0].complete:
            missed.append("the answer looks complete")
        return missed


@dataclass(frozen=True)
class Dropped:
    """Closed without a byte of an answer."""

    def misses(self, seen: Observed) -> list[str]:
        """Nothing but a close."""
        missed = [] if seen.closed else ["connection left open"]
        return [*missed, f"received {seen.raw[:60]!r}"] if seen.raw else missed


@dataclass(frozen=True)
class SpeaksHttp2:
    """Answered with a SETTINGS frame."""

    def misses(self, seen: Observed) -> list[str]:
        """The type byte of the first frame tells."""
        missed = [f"upstream saw {r.line!r}" for r in seen.requests]
        return missed if seen.raw[3:4] == b"\x04" else [*missed, "no SETTINGS frame"]


def _follow_up(seen: Observed, first: int) -> list[str]:
    """After the probe's own answers: the follow-up's answer, or a close."""
    if seen.rest:
        return [f"stray bytes {seen.rest[:60]!r}"]
    later = seen.answers[first:]
    if not later:
        return [] if seen.closed else ["no answer to the follow-up, connection left open"]
    if len(later) > 1:
        return [f"{len(later)} answers after the probe"]
    if later[0].status != 200 or later[0].body != NEXT_BODY:
        return [f"the follow-up got {later[0].line!r} {later[0].body[:40]!r}"]
    return []


def _flaws(answers: list[Answer]) -> list[str]:
    return [flaw for answer in answers for flaw in answer.flaws]
