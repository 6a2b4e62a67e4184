import os
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from system.processes import is_running

from bench import driver, process, stage
from bench.cells import CELLS, Cell
from bench.job import Job, Site
from bench.peers import PEERS, pylos, templates
from bench.process import BenchError
from pylos.config import load_text

ECHO = "127.0.0.1:80\n127.0.0.1\nhttp\n127.0.0.1:80\nabc\n1.1 x\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, port=8001, admin_port=8002, backend_port=9001, cpus=(0,))


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_offers_the_same_names(name: str):
    peer = PEERS[name]
    assert isinstance(peer.NAME, str)
    assert isinstance(peer.FORWARDS_FIELDS, bool)
    assert callable(peer.version)
    assert callable(peer.start)


def test_places_are_filled_and_an_unknown_one_is_an_error():
    text = templates.fill("haproxy_tcp.cfg", {"WORKERS": 2, "CONNECTIONS": 100, "PORT": 8001, "BACKEND": 9001})
    assert "nbthread 2" in text
    assert "@" not in text
    with pytest.raises(KeyError):
        templates.fill("haproxy_tcp.cfg", {"WORKERS": 2})


def test_pylos_gets_one_route_without_log_and_metrics(site: Site):
    document = tomllib.loads(pylos.document(Job(), site))
    assert document["pylos"] == {"version": 1, "workers": 1, "access_log": False}
    assert document["listen"] == {"http": {"bind": "127.0.0.1:8001"}}
    assert document["route"] == {"all": {"match": "/{rest:path}", "to": "backend"}}


def test_pylos_gets_a_thousand_routes_a_log_and_metrics(site: Site):
    document = tomllib.loads(pylos.document(Job(workers=2, routes=1000, access_log=True, metrics=True), site))
    assert document["pylos"]["workers"] == 2
    assert document["pylos"]["access_log"] == {"path": f"{site.folder}/access.log"}
    assert document["listen"]["ops"] == {"bind": "127.0.0.1:8002", "serve": ["metrics", "health"]}
    assert len(document["route"]) == 1000


@pytest.mark.parametrize("name", pylos.POLICIES)
def test_pylos_gets_a_policy(site: Site, name: str):
    document = tomllib.loads(pylos.document(Job(policy=name, metrics=True), site))
    assert document["route"]["all"]["use"] == list(document["policy"])
    site.write("policies.py", pylos.MODULE.read_text())
    assert load_text(pylos.document(Job(policy=name), site), str(site.folder / "pylos.toml")).warnings == []


@pytest.mark.parametrize("cell", [cell for cell in CELLS.values() if cell.kind == "p99"], ids=lambda cell: cell.name)
def test_pylos_gets_a_policy_that_misbehaves(site: Site, cell: Cell):
    site.write("policies.py", pylos.MODULE.read_text())
    for each in cell.contestants:
        text = pylos.document(each.job, site)
        assert load_text(text, str(site.folder / "pylos.toml")).warnings == []
        assert tomllib.loads(text)["policy"]["bad"]["call"] == f"policies:{each.job.beside}"
        assert each.nuisance is None or each.nuisance.function == each.job.beside


def test_what_calls_cost_is_read():
    calls = driver.parse("2000000 4.0 1000000000 1500000000\n")
    assert calls == driver.Calls(cpu_us=1.25, lanes_us=0.75, per_second=500_000)


def test_a_proxy_that_does_the_job_has_no_problems():
    assert stage.field_problems(ECHO, "127.0.0.1:80") == []


@pytest.mark.parametrize(
    "said,problem",
    [
        (ECHO.replace("http\n", "\n"), "X-Forwarded-Proto is ''"),
        (ECHO.replace("abc", ""), "X-Request-Id is not set"),
        (ECHO.replace("127.0.0.1:80\n", "backend\n", 1), "Host is 'backend'"),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named(said: str, problem: str):
    assert [problem in each for each in stage.field_problems(said, "127.0.0.1:80")] == [True]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a program of this text the interpreter that runs Pylos."""

    def use(text: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!{sys.executable}\nimport os, signal, sys\nready = int(sys.argv[-1])\n{text}")
        program.chmod(0o755)
        monkeypatch.setenv("PYLOS_PYTHON", str(program))

    return use


def test_pylos_has_started_when_its_ready_line_is_there(site: Site, interpreter: Callable[[str], None]):
    interpreter("os.write(ready, b'{\"pid\": 1, ')\nos.write(ready, b'\"gateway\": 2}\\n')\nsignal.pause()\n")
    started = pylos.start(Job(), site)
    assert started.pids() == [started.popen.pid]
    started.stop()
    assert started.popen.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    "text,problem",
    [
        ("sys.exit('no such option')", "gave no ready line\nno such option"),
        ("os.write(ready, b'{}\\n')\nsignal.pause()", "odd ready line"),
    ],
)
def test_pylos_that_does_not_get_ready_is_ended_and_quoted(
    site: Site, interpreter: Callable[[str], None], text: str, problem: str
):
    interpreter(text)
    with pytest.raises(BenchError, match=problem):
        pylos.start(Job(), site)


def test_what_ignores_the_request_to_end_is_killed_with_its_children(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "STOP_DEADLINE", 0.2)
    stubborn = "trap '' TERM; (trap '' TERM; echo ready; while :; do sleep 60; done) & wait; wait"
    started = process.start("stubborn", ["sh", "-c", stubborn], site)
    while "ready" not in started.log.read_text():
        os.sched_yield()
    family = started.pids()
    assert len(family) >= 2
    started.stop()
    # The kernel ends them in its own time; the test's time limit is the bound.
    while any(is_running(pid) for pid in family):
        os.sched_yield()
