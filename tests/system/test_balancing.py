"""Which target answers: every option of an upstream that decides about it, where it acts and where it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from system.balanced import Balanced, balanced, document
from system.rig import until

TWO = "targets = [<a>, <b>]"
ALL = "targets = [<list>]"
UPSTREAMS = {
    "turns": f'{ALL}\nbalance = "round_robin"',
    "heavy": 'targets = [{ url = <a>, weight = 3 }, <b>]\nbalance = "round_robin"',
    "light": "targets = [{ url = <a>, weight = 0 }, <b>]",
    "nobody": "targets = [{ url = <a>, weight = 0 }, { url = <b>, weight = 0 }]",
    "usual": ALL,
    "p2c": f'{TWO}\nbalance = "p2c"',
    "fewest": f'{TWO}\nbalance = "least_requests"',
    "quick": f'{TWO}\nbalance = "peak_ewma"',
    "chance": f'{ALL}\nbalance = "random"',
    "first": f'{ALL}\nbalance = "first"',
    "first_out": 'targets = [<nowhere>, <b>]\nbalance = "first"',
    "address": f'{ALL}\nbalance = "maglev"',
    "header": f'{ALL}\nbalance = {{ hash = "request.headers.x-user" }}',
    "cookie": f'{ALL}\nbalance = {{ hash = "request.cookies.sid", algorithm = "ring_hash" }}',
    "unbound": f'{TWO}\nbalance = {{ hash = "request.headers.x-user" }}',
    "bound": f'{TWO}\nbalance = {{ hash = "request.headers.x-user", bound = 1.0 }}',
    "zones": 'targets = [{ url = <a>, zone = "far" }, { url = <b>, zone = "near" }]',
    "no_zones": TWO,
    "priority": "targets = [{ url = <a>, priority = 1 }, <b>]",
    "priority_out": "targets = [<nowhere>, { url = <b>, priority = 1 }]",
    "backup": "targets = [{ url = <a>, backup = true }, <b>]",
    "backup_out": "targets = [<nowhere>, { url = <b>, backup = true }]",
    "room": f"{TWO}\nmax_requests = 1",
    "no_bound": TWO,
}


@pytest.fixture(scope="module")
def it() -> Iterator[Balanced]:
    with balanced(UPSTREAMS, pylos='workers = 1\nzone = "near"') as running:
        yield running


def counts(it: Balanced, upstream: str, times: int = 60, **headers: str) -> Counter[str]:
    return Counter(it.asked(upstream, times, **headers))


def test_one_after_the_other(it: Balanced):
    names = it.asked("turns", 9)
    assert names[:3] == names[3:6] == names[6:]
    assert sorted(names[:3]) == ["a", "b", "c"]


def test_a_heavier_one_more_often_and_well_mixed(it: Balanced):
    names = "".join(it.asked("heavy", 8))
    assert names[:4] == names[4:]
    assert names[:4] in {"aaba", "abaa", "baaa", "aaab"}


def test_without_weight_nothing_new(it: Balanced):
    assert set(it.asked("light", 40)) == {"b"}
    assert set(it.asked("nobody", 3)) == {"no_healthy_upstream"}


@pytest.mark.parametrize("upstream", ["usual", "chance", "no_zones", "no_bound", "p2c", "fewest"])
def test_all_have_a_part(it: Balanced, upstream: str):
    shares = counts(it, upstream, 90)
    assert len(shares) == (3 if upstream in {"usual", "chance"} else 2)
    assert min(shares.values()) > 10


def test_the_quicker_one_is_asked_and_the_others_do_not_look_at_that(it: Balanced):
    it.servers["a"].delay = 0.1
    it.asked("quick", 10)  # how long both take is known
    assert counts(it, "quick", 20)["b"] >= 18
    assert set(it.asked("p2c", 12)) == {"a", "b"}
    it.servers["a"].delay = 0.0


@pytest.mark.parametrize("upstream", ["p2c", "fewest"])
def test_who_has_something_to_do_is_left_alone(it: Balanced, upstream: str):
    with it.held(upstream) as busy:
        assert {*it.asked(upstream, 20)} == {"a", "b"} - {*busy}


@pytest.mark.parametrize("upstream", ["turns", "chance"])
def test_turns_and_chance_do_not_look_at_what_is_under_way(it: Balanced, upstream: str):
    with it.held(upstream):
        assert set(it.asked(upstream, 60)) == {"a", "b", "c"}


def test_the_others_stand_by(it: Balanced):
    assert set(it.asked("first", 20)) == {"a"}
    assert set(it.asked("first_out", 20)) == {"b"}


def test_one_address_goes_to_one_target(it: Balanced):
    assert len(set(it.asked("address", 30))) == 1


@pytest.mark.parametrize("upstream, field", [("header", "x-user={}"), ("cookie", "cookie=other=1; sid={}")])
def test_what_is_alike_goes_to_one_target(it: Balanced, upstream: str, field: str):
    name, _, value = field.partition("=")
    owners = {}
    for user in range(30):
        (owners[user],) = set(it.asked(upstream, 3, **{name: value.format(user)}))
    assert set(owners.values()) == {"a", "b", "c"}
    assert len(set(it.asked(upstream, 60))) == 3, "what has none of it goes anywhere"


def test_a_bound_keeps_one_key_from_sinking_its_target(it: Balanced):
    with it.held("bound", times=6, more="X-User: popular\r\n") as holders:
        assert sorted(holders.values()) == [3, 3]
    with it.held("unbound", times=6, more="X-User: popular\r\n") as holders:
        assert sorted(holders.values()) == [6]


@pytest.mark.parametrize(
    "upstream, who",
    [("zones", "b"), ("priority", "b"), ("priority_out", "b"), ("backup", "b"), ("backup_out", "b")],
)
def test_who_comes_first(it: Balanced, upstream: str, who: str):
    assert set(it.asked(upstream, 40)) == {who}


def test_zones_are_alike_for_a_gateway_without_one():
    with balanced({"zones": UPSTREAMS["zones"]}, pylos="workers = 1") as it:
        assert set(it.asked("zones", 40)) == {"a", "b"}


def test_no_more_than_it_may_have(it: Balanced):
    with it.held("room", times=2) as holders:
        assert sorted(holders.values()) == [1, 1]
        assert it.ask("room") == "upstream_busy"
    until(lambda: it.ask("room") in {"a", "b"})


def test_without_bound_there_is_room(it: Balanced):
    with it.held("no_bound", times=4):
        assert it.ask("no_bound") in {"a", "b"}


@pytest.mark.parametrize(
    "slow_start, fits", [("1h", lambda share: 0 < share <= 0.2), ("0s", lambda share: share > 0.7)]
)
def test_who_joins_begins_slowly(slow_start: str, fits: Callable[[float], bool]):
    """Shares of an equal part, of a target that a reload has added."""
    lines = f'slow_start = "{slow_start}"\nbalance = "least_requests"'
    with balanced({"site": f"targets = [<a>, <b>]\n{lines}"}, pylos="workers = 1") as it:
        it.gateway.advance("2h")
        it.asked("site", 10)
        it.gateway.reload_toml(document({"site": f"targets = [<list>]\n{lines}"}, it.servers, "workers = 1"))
        taken = counts(it, "site", 600)
        assert fits(taken["c"] / 200), taken
