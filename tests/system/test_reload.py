"""Commands to a running gateway under real traffic: what a reload changes, what it keeps, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from system.load import Load
from system.rig import Front, configuration, until
from typer.testing import CliRunner

from pylos import Expect
from pylos.cli import app
from pylos.testing import RawClient, reply
from pylos.testing.plugin import GatewayFactory, UpstreamFactory

MORE = '[route.more]\nmatch = "/more"\nrespond = { text = "more" }\n'
TEST = '[test.it]\nrequest = "GET http://a/{path}"\nexpect = {{ route = "all" }}\n'


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Served:
    """`pylos serve` as a program of its own, and the commands that find it by its name."""

    def __init__(self, source: str | Path, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        read, write = os.pipe()
        command = [sys.executable, "-m", "pylos", "serve", "-c", source, "-n", name, "--ready-fd", str(write)]
        self.process = subprocess.Popen(command, cwd=folder, pass_fds=[write], stderr=subprocess.PIPE)
        os.close(write)
        with os.fdopen(read) as pipe:
            line = pipe.read()
        assert line, self.process.communicate()[1].decode()
        self.ready: dict[str, Any] = json.loads(line)

    @property
    def address(self) -> str:
        return str(self.ready["listen"]["http"][0])

    def run(self, *arguments: str) -> Done:
        """Run a command about this gateway; in this process, which has what it takes imported already."""
        with contextlib.chdir(self._folder):
            done = CliRunner().invoke(app, [*arguments, "-n", self.name])
        return Done(done.exit_code, done.stdout, done.stderr)

    def status(self, path: str) -> int:
        with RawClient(self.address) as client:
            return client.get(path).status

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


class Serve(Protocol):
    def __call__(self, source: str | Path, name: str = "test") -> Served: ...


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(source: str | Path, name: str = "test") -> Served:
            served = Served(source, name, tmp_path)
            stack.callback(served.end)
            return served

        yield start


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pylos.toml"


# -- a reload that is refused ----------------------------------------------------------------------------------------


def test_a_bad_reload_leaves_everything_as_it_was(serve: Serve, upstream: UpstreamFactory, file: Path):
    """Under traffic: every problem is told as by `check`, the exit code is 1, no request notices."""
    target = upstream()
    good = configuration(target)
    file.write_text(good)
    served = serve(file)
    with Load(served.address) as load:
        load.more(100)
        file.write_text(good + '[rout.x]\n[route.y]\nmatch = "y"\n')
        for _ in range(2):
            done = served.run("reload")
            assert done.returncode == 1
            assert done.stderr.count("error[P") == 2
        checked = subprocess.run(
            [sys.executable, "-m", "pylos", "check", "-c", file], capture_output=True, text=True, check=False
        )
        *problems, _ = done.stderr.split("\n\n")
        assert checked.stderr.split("\n\n")[: len(problems)] == problems
        load.more(100)
    assert load.failures == []
    history = json.loads(served.run("history", "--json").stdout)
    assert [entry["number"] for entry in history["entries"]] == [1]
    assert history["drift"] == "what the file says now was refused"
    file.write_text(good + MORE)
    assert served.run("reload").returncode == 0
    assert served.status("/more") == 200


def test_an_address_that_is_taken_refuses_a_reload(serve: Serve, upstream: UpstreamFactory, file: Path):
    good = configuration(upstream())
    file.write_text(good)
    served = serve(file)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file.write_text(good + MORE + f'[listen.other]\nbind = "127.0.0.1:{taken.getsockname()[1]}"\n')
        done = served.run("reload")
    assert done.returncode == 1
    assert "Address already in use ([listen.other] bind[0])" in done.stderr
    assert served.status("/more") == 200, "from the upstream: the route of the refused file is not there"
    assert json.loads(served.run("history", "--json").stdout)["entries"][0]["number"] == 1


def test_a_failing_test_stops_a_reload(serve: Serve, upstream: UpstreamFactory, file: Path):
    good = configuration(upstream(), route='match = "/in/{rest:path}"')
    file.write_text(good + TEST.format(path="in/x"))
    served = serve(file)
    file.write_text(good + MORE + TEST.format(path="out/x"))
    done = served.run("reload")
    assert done.returncode == 1
    assert "error[P117]" in done.stderr
    assert "test.it" in done.stderr
    assert served.status("/more") == 404
    file.write_text(good + MORE + TEST.format(path="in/y"))
    assert served.run("reload").returncode == 0
    assert served.status("/more") == 200


# -- reload, rollback, history ---------------------------------------------------------------------------------------


def test_reload_and_rollback_under_load(serve: Serve, upstream: UpstreamFactory, file: Path):
    target = upstream()
    file.write_text(configuration(target))
    served = serve(file)
    with Load(served.address) as load:
        file.write_text(configuration(target) + MORE)
        done = served.run("reload")
        assert "configuration 2 is in use" in done.stdout or "nothing changed" in done.stdout, "the watcher was first"
        with RawClient(served.address) as client:
            assert client.get("/more").body == b"more"
        load.more(50)
        done = served.run("rollback")
        assert (done.returncode, done.stdout.splitlines()) == (
            0,
            [
                "- [route.more]",
                '      match = ["/more"]',
                "      respond.status = 200",
                '      respond.text = "more"',
                "configuration 3 is in use",
            ],
        )
        with RawClient(served.address) as client:
            assert client.get("/more").body != b"more"
        load.more(50)
        assert "configuration 2 is in use" not in served.run("history").stdout
        assert served.run("diff", str(file)).returncode == 1, "the file is not what runs"
        assert served.run("reload").returncode == 0
        assert served.run("diff", str(file)).returncode == 0
        load.more(50)
    assert load.failures == []


def test_two_gateways_on_one_machine(serve: Serve, upstream: UpstreamFactory, file: Path):
    file.write_text(configuration(upstream(), pylos=""))
    other = file.with_name("other.toml")
    other.write_text(configuration(upstream(), pylos="access_log = false"))
    one, two = serve(file, "one"), serve(other, "two")
    file.write_text(file.read_text() + MORE)
    one.run("reload")
    assert one.run("diff", "pylos.toml").returncode == 0
    assert two.run("diff", "other.toml").returncode == 0
    assert two.run("diff", "pylos.toml").returncode == 1
    again = subprocess.run(
        [sys.executable, "-m", "pylos", "serve", "-c", file, "-n", "one"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert f"`one` runs already (process {one.process.pid})" in again.stderr


# -- the program in Python -------------------------------------------------------------------------------------------

PROGRAM = """\
import pylos
import {module}

config = pylos.Config(
    pylos={{"access_log": False}},
    listen={{"http": pylos.Listen(bind="127.0.0.1:0")}},
    route={{name: pylos.Route(match=f"/{{name}}", respond={{"text": name}}) for name in {module}.NAMES}},
)
"""


def test_a_program_is_served_and_what_it_imports_is_watched(serve: Serve, tmp_path: Path):
    module = tmp_path / "shop_names.py"
    module.write_text('NAMES = ["one"]\n')
    (tmp_path / "gateway.py").write_text(PROGRAM.format(module="shop_names"))
    served = serve("gateway.py")
    assert served.status("/one") == 200
    module.write_text('NAMES = ["one", "two"]\n')
    until(lambda: served.status("/two") == 200, seconds=30)
    module.write_text("NAMES = [1 // 0]\n")
    done = served.run("reload")
    assert done.returncode == 1
    assert "error[P119]: ZeroDivisionError" in done.stderr
    assert f"--> {module}:1\n" in done.stderr
    assert served.status("/two") == 200


# -- what did not change ---------------------------------------------------------------------------------------------


def test_connections_to_an_unchanged_target_are_kept(front: Front, upstream: UpstreamFactory):
    """By identity: another route, another policy and another upstream leave the pool of this one as it is."""
    target, other = upstream(), upstream()
    lines = {"pylos": "access_log = false\nworkers = 1", "more": f'[upstream.other]\ntargets = ["{other.url}"]\n'}
    served = front(target, **lines)
    with RawClient(served.address()) as client:
        for number in range(5):
            assert client.get().status == 200
            lines["more"] += f'[route.r{number}]\nmatch = "/r{number}"\nto = "other"\n'
            served.reload_toml(configuration(target, **lines))
        assert served.status()["generation"] == 6
        assert client.get().status == 200
    assert len(target.connections) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"upstream": 'health = false\ntimeouts = { connect = "1s" }'},
        {"upstream": "health = false\npool = { max_idle = 10 }"},
    ],
    ids=["a timeout", "the pool's size"],
)
def test_connections_are_kept_when_the_upstream_changes_around_its_targets(
    front: Front, upstream: UpstreamFactory, change: dict[str, str]
):
    target = upstream()
    lines = {"pylos": "access_log = false\nworkers = 1"}
    served = front(target, **lines)
    with RawClient(served.address()) as client:
        assert client.get().status == 200
        served.reload_toml(configuration(target, **lines, **change))
        assert client.get().status == 200
    assert len(target.connections) == 1


def test_an_ejected_target_stays_ejected(front: Front, upstream: UpstreamFactory):
    target, dead = upstream(), "http://127.0.0.1:1"
    served = front(target, dead, pylos="access_log = false\nworkers = 1")

    def states() -> dict[str, str]:
        return {one["target"]: one["state"] for one in served.status()["upstreams"]["app"]}

    with RawClient(served.address()) as client:
        for _ in range(40):
            assert client.get().status == 200
    assert states()[dead] == "ejected"
    served.reload_toml(configuration(target, dead, pylos="access_log = false\nworkers = 1", more=MORE))
    assert (served.status()["generation"], states()[dead]) == (2, "ejected")


def test_a_target_that_failed_its_checks_stays_out(front: Front, upstream: UpstreamFactory):
    health = 'health = { path = "/health", every = "100ms", timeout = "1s", fall = 1, rise = 1000 }'
    target, sick = upstream(), upstream(reply(status=500))
    served = front(target, sick, upstream=health)

    def states() -> dict[str, str]:
        return {one["target"]: one["state"] for one in served.status()["upstreams"]["app"]}

    until(lambda: states()[sick.url] == "down")
    served.reload_toml(configuration(target, sick, upstream=health, more=MORE))
    assert (served.status()["generation"], states()) == (2, {target.url: "up", sick.url: "down"})


SERVED = 'pylos_requests_total{listener="http",route="all",code="2xx"}'


def test_counters_go_on(front: Front, upstream: UpstreamFactory):
    target = upstream()
    ops = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics"]\n'
    served = front(target, more=ops)

    def counted() -> str:
        with RawClient(served.address("ops")) as client:
            page = client.get("/metrics").body.decode()
        return next(line for line in page.splitlines() if line.startswith(SERVED))

    with RawClient(served.address("http")) as client:
        for _ in range(3):
            client.get()
        before = counted()
        served.reload_toml(configuration(target, more=ops + MORE))
        assert counted() == before
        client.get()
        assert int(counted().split()[-1]) == int(before.split()[-1]) + 1


def test_an_unchanged_document_is_not_applied(gateway: GatewayFactory, upstream: UpstreamFactory, file: Path):
    text = configuration(upstream())
    file.write_text(text)
    served = gateway(file)
    file.write_text("# a comment\n" + text)
    served.reload()
    assert served.status()["generation"] == 1


def test_what_runs_is_explained(front: Front, upstream: UpstreamFactory):
    target = upstream()
    served = front(target, "http://127.0.0.1:1", more=MORE)
    told = served.explain("GET http://shop.example.com/a?b=c")
    assert told == Expect(route="all", upstream="app", path="/a?b=c")
    assert told.health == {target.url: "up", "http://127.0.0.1:1": "up"}
    served.reload_toml(configuration(target))
    assert served.explain("GET http://shop.example.com/more") == Expect(upstream="app"), "of the table in use now"
