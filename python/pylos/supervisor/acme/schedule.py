"""When a certificate is renewed, and when after a failure. Pure: time and chance are arguments.

Points in time are seconds since 1970; a fraction is chance, from 0 up to but not including 1.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LOUD = 30 * DAY
"""For so long failures are told each time."""
ASK_AGAIN = 6 * HOUR
"""When an authority is asked again for its window if it does not say (RFC 9773 section 4.3.3)."""
ASK_SOONEST, ASK_LATEST = MINUTE, DAY
"""What an authority says about that is taken within these bounds (RFC 9773 section 4.3.1)."""
SKEW = HOUR
FORGOTTEN = 2 * DAY
"""After so long a change of what is wanted has nothing to do with the one before."""
HELD_OFF = 7 * DAY
"""The longest time that an authority can keep us away."""


@dataclass(frozen=True, slots=True)
class Life:
    """From when until when a certificate is valid."""

    begins: float
    ends: float

    @property
    def length(self) -> float:
        """Seconds, never less than 0."""
        return max(0.0, self.ends - self.begins)


@dataclass(frozen=True, slots=True)
class RetryDelays:
    """The delays after failures, in seconds."""

    first: float = MINUTE
    longest: float = DAY


def renewal(life: Life, fraction: float, window: tuple[float, float] | None = None) -> float:
    """Say when to renew: within the authority's window (RFC 9773 section 4.2), else in the last third of life.

    Of the last third the first quarter is used, so that there is time for failures. A window that ends before it begins
    says nothing. No window makes us renew within an hour, or a tenth of a life, after it began, or wait for the last
    tenth.
    """
    if window is None or window[1] <= window[0]:
        third = life.length / 3
        return life.begins + 2 * third + fraction * third / 4
    chosen = window[0] + fraction * (window[1] - window[0])
    soonest = life.begins + min(HOUR, life.length / 10)
    latest = life.ends - life.length / 10
    return min(max(chosen, soonest), latest)


def soonest(now: float, ends: float) -> float:
    """Say before when a certificate that is new is not renewed, however long ago it began.

    An authority that dates back what lives shortly, or whose window has passed, would be asked again at once.
    """
    return now + min(HOUR, max(0.0, ends - now) / 10)


def ask_again(now: float, retry_after: float | None) -> float:
    """Say when an authority is asked again for its window, by the seconds that it has told."""
    delay = ASK_AGAIN if retry_after is None else retry_after
    return now + min(max(delay, ASK_SOONEST), ASK_LATEST)


def retry(now: float, failures: int, fraction: float, backoff: RetryDelays, ends: float | None = None) -> float:
    """Say when to try again after so many failures in a row (from 1): doubling, with up to a tenth more by chance.

    Of the time that a certificate in use is still valid, no more than an eighth is waited for.
    """
    doublings = min(max(failures, 1) - 1, 40)
    delay = min(backoff.first * 2.0**doublings, backoff.longest)
    if ends is not None and ends > now:
        delay = min(delay, max(backoff.first, (ends - now) / 8))
    return now + min(delay * (1 + fraction / 10), backoff.longest)


def contended(issued_at: float, changes: int, backoff: RetryDelays) -> float:
    """Say when a certificate that was issued for something else may be replaced: at once, unless it goes to and fro."""
    return retry(issued_at, changes, 0.0, backoff) if changes else issued_at


def held_off(now: float, retry_after: float | None) -> float:
    """Say until when an authority that is to be left alone is not asked."""
    return now + min(max(retry_after or 0.0, 0.0), HELD_OFF)


def credible(now: float, at: float, longest: float) -> float:
    """Give a point in time that was stored as at most so many seconds ahead; 0 where no clock that is right said it.

    A clock that ran ahead, and was put right, would else keep everybody waiting for as long. Clocks may differ by SKEW.
    """
    return at if at <= now + longest + SKEW else 0.0


def is_loud(now: float, first_failure: float | None) -> bool:
    """Whether a failure is still told each time that it happens."""
    return first_failure is None or now - first_failure < LOUD
