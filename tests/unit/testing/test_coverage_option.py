"""The options for the coverage: whole runs of pytest, in a folder of their own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GATEWAY = """
[listen.http]
bind = "0.0.0.0:8080"
[upstream.web]
targets = ["http://web.internal:8000"]
[policy.office]
type = "filter"
allow_ip = ["192.0.2.0/24"]
[policy.beta]
type = "headers"
request = { set = { x-beta = "1" } }
if = "request.headers['x-user'] == 'tester'"
[policy.tidy]
type = "headers"
response = { remove = ["x-debug"] }
[policy.both]
type = "chain"
use = ["office", "tidy"]
[route.site]
match = "/{rest:path}"
to = "web"
use = ["beta"]
[route.admin]
match = "/admin/{rest:path}"
to = "web"
use = ["both"]
"""
HEAD = """
from pathlib import Path
import socket
import urllib.request
import urllib.error

import pytest

import pylos
from pylos.testing import *

FILE = Path("gateway.toml")

@pytest.fixture
def running(gateway, upstream):
    return gateway(FILE, upstreams={"web": upstream()}, trusted_proxies=["127.0.0.1"])

def plainly(running, path="/", headers={}):
    # A client that is none of the kit's.
    try:
        asked = urllib.request.Request(running.url() + path, headers=headers)
        return urllib.request.urlopen(asked, timeout=10).status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "gateway.toml").write_text(GATEWAY)

    def start(test: str, *options: str, ini: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(HEAD + test)
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return start


def never(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was never exercised: routes and policies."""
    assert " passed" in done.stdout, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("routes ", "policies "))]
    return [name for line in lines for name in line.partition("never: ")[2].split(", ") if name]


def test_several_gateways_of_several_tests_add_up(run: Run):
    test = """
def test_site(running, client):
    client(running).get("/x", {"x-user": "tester"})

@pytest.fixture(scope="module")
def shared():
    with ScriptedUpstream() as web, GatewayUnderTest(FILE, upstreams={"web": web}) as started:
        yield started

def test_admin(shared, gateway, upstream):
    again = gateway(FILE, upstreams={"web": upstream()}, trusted_proxies=["127.0.0.1"])
    assert plainly(shared, "/admin/") == 403
    assert plainly(again, "/admin/", {"x-forwarded-for": "192.0.2.1"}) == 200
"""
    done = run(test, "--pylos-coverage=gateway.toml", "--pylos-coverage-floor=100")
    assert never(done) == []
    assert done.returncode == 0
    assert "all                5     5  100.0 %" in done.stdout


@pytest.mark.parametrize(
    "floor, by_ini, code", [("40", False, 0), ("40.1", False, 1), ("40", True, 0), ("41", True, 1)]
)
def test_the_floor(floor: str, code: int, run: Run, *, by_ini: bool):
    """Two of five are exercised: the route and its policy."""
    options = [] if by_ini else ["--pylos-coverage=gateway.toml", f"--pylos-coverage-floor={floor}"]
    ini = f"pylos_coverage = gateway.toml\npylos_coverage_floor = {floor}\n" if by_ini else ""
    done = run("def test(running, client):\n    client(running).get('/', {'x-user': 'tester'})\n", *options, ini=ini)

    assert done.returncode == code, done.stdout + done.stderr
    assert ("FAIL" in done.stdout) is (code == 1)
    assert "pylos coverage of" in done.stdout


def test_a_run_that_fails_anyway_stays_failed(run: Run):
    done = run("def test(): assert False\n", "--pylos-coverage=gateway.toml", "--pylos-coverage-floor=0")
    assert done.returncode == 1
    assert "FAIL gateway" not in done.stdout


def test_no_gateway_at_all_is_no_coverage(run: Run):
    done = run("def test():\n    pass\n", "--pylos-coverage=gateway.toml", "--pylos-coverage-floor=1")
    assert done.returncode == 1
    assert "0.0 % of routes and policies, at least 1 % wanted" in done.stdout


@pytest.mark.parametrize(
    "options, told",
    [
        (["--pylos-coverage-floor=90"], "needs to know of what"),
        (["--pylos-coverage=none.toml"], "cannot be read"),
        (["--pylos-coverage=empty.toml"], "there is nothing to cover"),
        (["--pylos-coverage=gateway.toml", "--pylos-coverage-floor=110"], "0 to 100, not `110`"),
        (["--pylos-coverage=gateway.toml", "--pylos-coverage-floor=much"], "0 to 100, not `much`"),
    ],
)
def test_what_cannot_be_measured_is_an_error(options: list[str], told: str, run: Run, tmp_path: Path):
    (tmp_path / "empty.toml").write_text('[listen.http]\nbind = "127.0.0.1:0"\n')
    done = run("def test():\n    pass\n", *options)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stderr


def test_without_the_option_nothing_is_told(run: Run):
    done = run("def test(running, client):\n    assert client(running).get('/x').status == 200\n")
    assert done.returncode == 0
    assert "coverage" not in done.stdout


def test_more_than_one_process_is_an_error(run: Run):
    done = run("def test():\n    pass\n", "--pylos-coverage=gateway.toml", "-n1")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "-n 0" in done.stderr
    assert run("def test():\n    pass\n", "--pylos-coverage=gateway.toml", "-n0").returncode == 0
