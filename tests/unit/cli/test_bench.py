"""`pylos bench policy`."""

import json
from pathlib import Path

import pytest
from system.processes import is_running
from system.rig import until
from typer.testing import CliRunner

from pylos.cli import app

FILE = """
[listen.http]
bind = "127.0.0.1:0"
[policy.staff]
type = "python"
call = "mine:staff"
[policy.slow]
type = "python"
call = "mine:slow"
[policy.reads]
type = "python"
call = "mine:reads"
[policy.ends]
type = "python"
call = "mine:ends"
[policy.shield]
type = "filter"
"""
MODULE = """
import asyncio, os, subprocess
from pylos import Deny, policy

@policy
def staff(request):
    return None if request.headers.get("x-role") == "staff" else Deny(code="staff_only")

@policy(body="64KiB")
def reads(request):
    return Deny() if request.body == b"0123456789" else None

@policy
def ends(request):
    os._exit(3)

@policy.start
async def start(state):
    if "CHILD" in os.environ:
        child = subprocess.Popen(["sleep", "60"])
        with open(os.environ["CHILD"], "w") as told:
            told.write(str(child.pid))

@policy
async def slow(request):
    await asyncio.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "gateway.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["bench", "policy", *arguments, "-c", "gateway.toml", "--seconds", "0.3"])
    return done.exit_code, done.output


def test_it_tells_what_a_call_costs():
    code, told = run("staff", "--json")
    found = json.loads(told)

    assert (code, found["policy"], found["in_flight"]) == (0, "staff", 64)
    assert found["verdicts"] == {"deny": found["calls"]}
    assert found["calls"] > 100
    assert 0 < found["lane_us"] < 1000
    assert 0 < found["p50_us"] <= found["p99_us"]


def test_the_request_is_what_it_is_told_to_be():
    code, told = run("staff", "-H", "x-role: staff", "--in-flight", "1")

    assert code == 0
    assert told.splitlines()[-1].endswith(" pass")


def test_one_that_waits_is_measured_by_its_wait():
    found = json.loads(run("slow", "--json", "--in-flight", "4")[1])

    assert found["p50_us"] > 9000
    assert found["calls"] < 200


@pytest.mark.parametrize("name", ["shield", "nobody"])
def test_what_is_not_in_python_is_not_measured(name: str):
    code, told = run(name)

    assert code == 1
    assert f"there is no policy `{name}` in Python; known are ends, reads, slow, staff" in told


def test_more_questions_than_the_ring_takes_wait():
    found = json.loads(run("staff", "--json", "--in-flight", "1024", "-H", f"x-long: {'x' * 4000}")[1])

    assert found["calls"] > 100


def test_a_policy_that_reads_bodies_gets_one():
    found = json.loads(run("reads", "--json", "--data", "0123456789")[1])

    assert found["verdicts"] == {"deny": found["calls"]}


def test_one_that_ends_its_process_is_told_at_once():
    code, told = run("ends")

    assert (code, told) == (1, "pylos: `ends` cannot be measured: its process ended with exit code 3\n")


def test_what_it_cannot_be_asked_is_told():
    code, told = run("staff", "-H", f"x-long: {'x' * 10_000_000}")

    assert code == 1
    assert "`staff` cannot be measured: the request is longer than a ring takes" in told


def test_nothing_is_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    child = tmp_path / "child"
    child.touch(mode=0o666)
    monkeypatch.setenv("CHILD", str(child))

    assert run("staff")[0] == 0
    until(lambda: not is_running(int(child.read_text())), 5)
