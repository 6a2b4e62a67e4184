"""When certificates are renewed and tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylos.supervisor.acme import schedule
from pylos.supervisor.acme.schedule import DAY, HOUR, MINUTE, Life, RetryDelays

AT = st.floats(0, 4e9)
FRACTION = st.floats(0, 1, exclude_max=True)
LENGTH = st.floats(1, 400 * DAY)
BACKOFF = RetryDelays()


@given(AT, LENGTH, FRACTION)
def test_renewal_is_in_the_first_quarter_of_the_last_third(begins, length, fraction):
    at = schedule.renewal(Life(begins, begins + length), fraction)
    slack = 1e-6 * max(begins, 1)
    assert begins + length * 2 / 3 - slack <= at <= begins + length * 3 / 4 + slack


@pytest.mark.parametrize(
    "days, fraction, window, expected",
    [
        (90, 0.0, None, 60.0),
        (90, 0.5, None, 63.75),
        (6, 0.5, None, 4.25),
        (90, 0.5, (50, 52), 51.0),
        (90, 0.25, (50, 52), 50.5),
        (90, 0.5, (-5, -4), 1 / 24),
        (90, 0.5, (100, 120), 81.0),
        (90, 0.5, (52, 50), 63.75),
        (90, 0.5, (50, 50), 63.75),
    ],
)
def test_renewal(days, fraction, window, expected):
    """All in days after the certificate began."""
    start = 1000 * DAY
    known = None if window is None else (start + window[0] * DAY, start + window[1] * DAY)
    at = schedule.renewal(Life(start, start + days * DAY), fraction, known)
    assert (at - start) / DAY == pytest.approx(expected)


@given(AT, LENGTH, FRACTION, st.tuples(AT, AT))
def test_no_window_renews_in_a_loop_or_too_late(begins, length, fraction, window):
    at = schedule.renewal(Life(begins, begins + length), fraction, window)
    slack = 1e-6 * max(begins, 1)
    assert begins + min(HOUR, length / 10) - slack <= at <= begins + length * 0.9 + slack


@given(AT, st.integers(1, 10_000), FRACTION, st.none() | AT)
def test_delays_are_between_a_minute_and_a_day(now, failures, fraction, ends):
    delay = schedule.retry(now, failures, fraction, BACKOFF, ends) - now
    assert MINUTE - 1e-3 <= delay <= DAY + 1e-3


@given(AT, st.integers(1, 100), FRACTION)
def test_delays_grow(now, failures, fraction):
    delays = [schedule.retry(now, number, fraction, BACKOFF) for number in (failures, failures + 1)]
    assert delays[0] <= delays[1]


@pytest.mark.parametrize("failures, minutes", [(1, 1), (2, 2), (3, 4), (11, 1024), (12, 1440), (5000, 1440)])
def test_delays_double(failures, minutes):
    assert schedule.retry(0, failures, 0.0, BACKOFF) == minutes * MINUTE


def test_the_end_of_a_certificate_makes_it_urgent():
    assert schedule.retry(0, 50, 0.0, BACKOFF, ends=DAY) == DAY / 8
    assert schedule.retry(0, 50, 0.0, BACKOFF, ends=MINUTE) == MINUTE
    assert schedule.retry(DAY, 50, 0.0, BACKOFF, ends=0) == 2 * DAY


@pytest.mark.parametrize("changes, minutes", [(0, 0), (1, 1), (2, 2), (11, 1024), (12, 1440)])
def test_what_goes_to_and_fro_slows_down(changes, minutes):
    assert schedule.contended(100, changes, BACKOFF) == 100 + minutes * MINUTE


@pytest.mark.parametrize("said, expected", [(None, 6 * HOUR), (0, MINUTE), (7200, 7200), (1e12, DAY), (-5, MINUTE)])
def test_an_authority_is_asked_again(said, expected):
    assert schedule.ask_again(100, said) == 100 + expected


@given(AT, LENGTH)
def test_what_is_new_is_left_alone(now, left):
    at = schedule.soonest(now, now + left)
    assert now < at or left < 1e-3 * max(now, 1)
    assert at <= now + HOUR
    assert at <= now + left / 10 + 1e-3
    assert schedule.soonest(now, now - left) == now


@pytest.mark.parametrize("said, expected", [(None, 0), (-1, 0), (3600, 3600), (1e12, 7 * DAY)])
def test_an_authority_is_left_alone(said, expected):
    assert schedule.held_off(100, said) == 100 + expected


@pytest.mark.parametrize("at, given", [(0, 0), (200, 200), (100 + DAY + HOUR, 100 + DAY + HOUR), (102 + DAY + HOUR, 0)])
def test_what_no_clock_that_is_right_has_said_says_nothing(at, given):
    assert schedule.credible(100, at, DAY) == given


def test_failures_are_told_for_thirty_days():
    assert schedule.is_loud(29 * DAY, 0)
    assert not schedule.is_loud(31 * DAY, 0)
    assert schedule.is_loud(31 * DAY, None)
