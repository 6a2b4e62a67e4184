from pathlib import Path

import pytest

from bench import budget, results, table
from bench.results import Result, Row


def row(key: str, values: list[float], *, base: str | None = None, user: float | None = None) -> Row:
    peer, _, note = key.partition(", ")
    return Row(key, peer, note, base, values, user, per_second=[50.0, 70.0, 60.0])


def result(cell: str, *rows: Row) -> Result:
    versions = {"nginx": "1.22.1", "pylos": "0.1.0 (abc)", "wrk": "4.1.0"}
    return Result(cell, "2026-11-25 14:03 UTC", "Some CPU, 2 CPUs", versions, list(rows))


@pytest.fixture
def small() -> Result:
    return result(
        "small-1h-c64",
        row("nginx", [10.0, 9.0, 30.0], user=2.4),
        row("haproxy", [8.0, 8.1, 8.2]),
        row("pylos", [7.0, 8.0, 6.0], user=1.5),
    )


def test_ratios_are_of_medians(small: Result):
    assert small.ratio("pylos", "nginx") == pytest.approx(0.7)
    assert small.ratio("pylos", "caddy") is None


def test_what_is_stored_comes_back_the_same(tmp_path: Path, small: Result):
    results.store(small, tmp_path)
    assert results.load(["idle", "small-1h-c64"], tmp_path) == {"small-1h-c64": small}


def test_the_table_shows_median_spread_user_and_ratios(small: Result):
    text = table.document({"small-1h-c64": small})
    assert "| nginx | 10.0 us | 9.00 to 30.0 | 2.40 us | 60 | 1.00 | 1.23 |  |" in text
    assert "| Pylos | 7.00 us | 6.00 to 8.00 | 1.50 us | 60 | 0.70 | 0.86 |  |" in text
    assert "- 2026-11-25, small-1h-c64: Some CPU, 2 CPUs; nginx 1.22.1, Pylos 0.1.0 (abc), wrk 4.1.0." in text


def test_a_base_gives_a_ratio_of_its_own():
    workers = result("workers", row("pylos, 1 worker", [8.0]), row("pylos, 2 workers", [9.0], base="pylos, 1 worker"))
    assert "| Pylos, 2 workers | 9.00 us | 9.00 to 9.00 |  | 60 |  |  | 1.12 |" in table.document({"workers": workers})


def test_equal_runs_share_a_line(small: Result):
    text = table.document({"small-1h-c64": small, "small-13h-c64": small})
    assert "small-1h-c64, small-13h-c64: Some CPU" in text


@pytest.mark.parametrize("value,shown", [(1234.5, "1,234"), (99.94, "99.9"), (6.175, "6.17"), (0.0, "0.00")])
def test_numbers_have_the_digits_that_mean_something(value: float, shown: str):
    assert table.number(value) == shown


def test_nothing_measured_is_nothing_judged():
    assert budget.judge({}) == []


def test_a_bound_that_is_kept_and_one_that_is_missed(small: Result):
    verdicts = {verdict.what: verdict for verdict in budget.judge({"small-1h-c64": small})}
    assert verdicts["total CPU, small body, 1 header, against nginx"].holds
    assert verdicts["total CPU, small body, 1 header, against haproxy"].holds
    assert verdicts["user CPU, small body, 1 header"].holds
    slow = result("100k-c64", row("haproxy", [40.0]), row("pylos", [41.0]))
    (verdict,) = budget.judge({"100k-c64": slow})
    assert not verdict.holds
    assert str(verdict).endswith("MISSED")


@pytest.mark.parametrize("nginx_two,limit", [(8.0, 1.1), (12.0, 1.5)])
def test_two_workers_may_cost_what_they_cost_nginx(nginx_two: float, limit: float):
    rows = [
        row("nginx, 1 worker", [8.0]),
        row("nginx, 2 workers", [nginx_two]),
        row("pylos, 1 worker", [7.0]),
        row("pylos, 2 workers", [8.4]),
    ]
    (verdict,) = budget.judge({"workers": result("workers", *rows)})
    assert verdict.measured == pytest.approx(1.2)
    assert verdict.limit == pytest.approx(limit)


def test_every_bound_can_be_judged():
    routes = result(
        "routes",
        row("pylos, 1 route", [8.0]),
        row("pylos, 1,000 routes, access log, metrics", [9.0], base="pylos, 1 route"),
    )
    cells = {
        "routes": routes,
        "syscalls": result("syscalls", row("pylos", [4.05])),
        "idle": result("idle", row("pylos", [900.0])),
    }
    assert [verdict.holds for verdict in budget.judge(cells)] == [True, True, True]
