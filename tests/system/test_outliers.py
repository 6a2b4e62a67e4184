"""What is left alone for its answers: every option of `outliers`, and `panic_threshold`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from system.balanced import Balanced, balanced
from system.rig import until

ALL = 'targets = [<list>]\nbalance = "round_robin"'
UPSTREAMS = {
    "usual": ALL,
    "off": f"{ALL}\noutliers = false",
    "sooner": f"{ALL}\noutliers = {{ errors = 2 }}",
    "others": f"{ALL}\noutliers = {{ errors = 2, statuses = [500] }}",
    "share": f'{ALL}\noutliers = {{ errors = 1000, share = "50%", requests = 8, over = "1h" }}',
    "few": f'{ALL}\noutliers = {{ errors = 1000, share = "50%", requests = 1000, over = "1h" }}',
    "short": f'{ALL}\noutliers = {{ errors = 1, eject = "10m", longest = "15m" }}',
    "most": f'{ALL}\noutliers = {{ errors = 1, max_ejected = "100%" }}',
    "least": f'{ALL}\noutliers = {{ errors = 1, max_ejected = "0%" }}',
    "lone": "targets = [<a>]\noutliers = { errors = 1 }",
    "refused": "targets = [<a>, <nowhere>]\noutliers = { errors = 1 }",
}


@pytest.fixture
def it() -> Iterator[Balanced]:
    with balanced(UPSTREAMS, pylos="workers = 1") as running:
        yield running


def fails(it: Balanced, names: str, status: int = 503) -> None:
    for name in names:
        it.servers[name].status = status


def test_five_in_a_row_are_enough(it: Balanced):
    fails(it, "b")
    it.asked("usual", 3 * 5)
    assert it.states("usual") == {"a": "up", "b": "ejected", "c": "up"}
    assert set(it.asked("usual", 12)) == {"a", "c"}


def test_four_are_not(it: Balanced):
    fails(it, "b")
    it.asked("usual", 3 * 4)
    fails(it, "b", 200)
    it.asked("usual", 3)
    fails(it, "b")
    it.asked("usual", 3 * 4)
    assert it.states("usual")["b"] == "up"


def test_switched_off(it: Balanced):
    fails(it, "b")
    it.asked("off", 3 * 20)
    assert it.states("off")["b"] == "up"


def test_as_many_as_it_says(it: Balanced):
    fails(it, "b")
    it.asked("sooner", 3 * 2)
    assert it.states("sooner")["b"] == "ejected"


@pytest.mark.parametrize("status, state", [(500, "ejected"), (503, "up")])
def test_statuses_that_count(it: Balanced, status: int, state: str):
    fails(it, "b", status)
    it.asked("others", 3 * 3)
    assert it.states("others")["b"] == state


@pytest.mark.parametrize("upstream, state", [("share", "ejected"), ("few", "up")])
def test_a_share_of_enough_requests(it: Balanced, upstream: str, state: str):
    for status in [200, 503] * 4:
        fails(it, "b", status)
        it.asked(upstream, 3)
    assert it.states(upstream)["b"] == state


def test_longer_each_time_and_back_at_once_when_well(it: Balanced):
    def out_for(minutes: int) -> bool:
        it.asked("short", 6)
        assert it.states("short")["b"] == "ejected"
        it.gateway.advance(f"{minutes - 1}m")
        assert it.states("short")["b"] == "ejected"
        it.gateway.advance("1m")
        return it.states("short")["b"] == "up"

    fails(it, "b")
    assert out_for(10)
    assert out_for(15)
    fails(it, "b", 200)
    assert set(it.asked("short", 12)) == {"a", "b", "c"}


@pytest.mark.parametrize("upstream, out", [("most", 2), ("usual", 1), ("least", 1)])
def test_not_all_are_left_alone(it: Balanced, upstream: str, out: int):
    """One of several always may be, and the last one never."""
    fails(it, "abc")
    it.asked(upstream, 30)
    assert list(it.states(upstream).values()).count("ejected") == out


def test_the_only_one_is_asked_all_the_same(it: Balanced):
    fails(it, "a")
    it.asked("lone", 10)
    assert it.states("lone") == {"a": "up"}


def test_where_nobody_listens(it: Balanced):
    """The request goes to the other one, and the next ones do not try."""
    assert set(it.asked("refused", 10)) == {"a"}
    assert list(it.states("refused").values()) == ["up", "ejected"]


def test_a_check_ends_it():
    health = 'health = { path = "/check", every = "100ms" }'
    with balanced({"site": f"{ALL}\n{health}\noutliers = {{ errors = 1 }}"}, pylos="workers = 1") as it:
        it.servers["b"].health = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        fails(it, "b")
        it.asked("site", 6)
        until(lambda: it.states("site")["b"] == "up")


@pytest.mark.parametrize("threshold, who", [("50%", {"a", "b", "c"}), ("0%", {"a"}), ("30%", {"a"})])
def test_where_too_few_are_left_all_are_used(threshold: str, who: set[str]):
    health = 'health = { path = "/check", every = "50ms", fall = 1, rise = 1000 }'
    lines = f'{ALL}\n{health}\npanic_threshold = "{threshold}"'
    with balanced({"site": lines}, pylos="workers = 1") as it:
        for name in "bc":
            it.servers[name].health = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        until(lambda: list(it.states("site").values()) == ["up", "down", "down"])
        assert set(it.asked("site", 12)) == who
