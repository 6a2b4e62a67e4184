"""A gateway is renewed, or loses its supervisor, while it serves: nothing is refused, nothing fails, and what it knows
goes along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.load import Load
from system.processes import is_running
from system.rig import configuration, until

from pylos import supervisor
from pylos.cli.upgrade import upgraded
from pylos.errors import GatewayError
from pylos.testing import RawClient, Request, Response, reply
from pylos.testing.plugin import UpstreamFactory


class Program:
    """`pylos serve`, found by its name."""

    def __init__(self, file: Path, name: str, python: Path) -> None:
        self.file = file
        self.name = name
        self.log = file.with_suffix(".log")
        reader, writer = os.pipe()
        command = [str(python), "-m", "pylos", "serve", "-c", str(file), "-n", name, "--ready-fd", str(writer)]
        with self.log.open("ab") as log:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self.process = subprocess.Popen(command, stderr=log, pass_fds=[writer], env=environment)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            line = pipe.readline()
        assert line, self.log.read_text()
        ready = json.loads(line)
        self.gateways = [int(ready["gateway"])]
        self.address: str = ready["listen"]["http"][0]
        self.ops: str = ready["listen"].get("ops", [""])[0]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> dict[str, Any]:
        line = supervisor.connect(self.name)
        try:
            status = line.ask({"type": "status"})
        except GatewayError:  # between two
            return {"gateway": 0}
        finally:
            line.close()
        return {**status["running"], "status": status["status"]}

    def upgrade(self) -> int:
        self.gateways.append(upgraded(self.name))
        return self.gateways[-1]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in told if one["event"] == name]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            for pid in self.gateways:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)


Start = Callable[..., Program]


class Gate:
    """An upstream that answers when it may."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._waits = threading.Event()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def wait_for_one(self) -> None:
        assert self._waits.wait(10)

    def __call__(self, _: Request) -> bytes:
        if not self._open.is_set():
            self._waits.set()
            assert self._open.wait(20)
        return reply(b"ok")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    started: list[Program] = []

    def start(text: str, name: str = "", python: Path = Path(sys.executable)) -> Program:
        file = tmp_path / "pylos.toml"
        file.write_text(text)
        program = Program(file, name or f"test-{os.getpid()}-{len(started)}", python)
        started.append(program)
        return program

    yield start
    for program in started:
        program.end()


def get(address: str, path: str = "/") -> Response:
    with RawClient(address) as client:
        return client.request("GET", path, host=address)


def test_upgrades_under_load(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    with Load(program.address) as load:
        load.more(200)
        for _ in range(3):
            before = program.gateways[-1]
            assert program.upgrade() != before
            load.more(200)
            until(lambda pid=before: not is_running(pid), seconds=60)
    assert load.failures == []
    running = program.running
    assert (running["pid"], running["gateway"]) == (program.pid, program.gateways[-1])
    assert running["listen"] == {"http": [program.address]}
    assert running["drift"] is None
    assert len(program.events("upgraded")) == 3


LIMIT = '[policy.few]\ntype = "rate_limit"\nrate = "5/h"\nkey = "request.headers.x-key"\n'
OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]\n'
LIMITED = 'match = "/{rest:path}"\nuse = ["few"]'


def keyed(program: Program, key: str) -> int:
    with RawClient(program.address) as client:
        return client.get("/", [("x-key", key)]).status


def test_what_limits_have_counted_goes_along(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream(), route=LIMITED, more=LIMIT))
    assert [keyed(program, "a") for _ in range(3)] == [200] * 3
    program.upgrade()
    assert [keyed(program, "a") for _ in range(3)] == [200, 200, 429]
    program.upgrade()
    assert keyed(program, "a") == 429
    assert keyed(program, "b") == 200


def test_a_process_that_drains_counts_with_the_one_that_serves(serve: Start, upstream: UpstreamFactory):
    """A connection on which half of a request has come stays with the old process, which asks the new one."""
    program = serve(configuration(upstream(), route=LIMITED, more=LIMIT))
    with RawClient(program.address) as late:
        late.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Key: a\r\n")
        # It has the connection when it answers others.
        assert keyed(program, "other") == 200
        program.upgrade()
        assert [keyed(program, "a") for _ in range(4)] == [200] * 4
        late.send(b"\r\n")
        answer = late.read_response()
        assert answer.status == 200
        assert answer.header("connection") == "close"
    assert keyed(program, "a") == 429


def test_the_admin_api_goes_along(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream(), more=OPS.replace('"health"]', '"health", "admin"]')))
    for _ in range(2):
        status = get(program.ops, "/api/v1/status").json()
        assert (status["running"]["pid"], status["running"]["gateway"]) == (program.pid, program.gateways[-1])
        program.upgrade()
    assert get(program.ops, "/api/v1/status").json()["running"]["gateway"] == program.gateways[-1]


def metrics(program: Program) -> dict[str, float]:
    with RawClient(program.ops) as client:
        lines = client.get("/metrics").body.decode().splitlines()
    found = [line.rpartition(" ") for line in lines if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in found}


def test_counters_go_on(serve: Start, upstream: UpstreamFactory):
    gate = Gate()
    program = serve(configuration(upstream(gate), more=OPS))
    requests = 'pylos_requests_total{listener="http",route="all",code="2xx"}'
    for _ in range(5):
        assert get(program.address).status == 200
    until(lambda: metrics(program)[requests] == 5)
    with RawClient(program.address) as client:
        gate.shut()
        client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        gate.wait_for_one()
        before = program.gateways[-1]
        program.upgrade()
        assert metrics(program)[requests] == 5
        gate.open()
        assert client.read_response().status == 200
    until(lambda: not is_running(before), seconds=60)
    assert get(program.address).status == 200
    until(lambda: metrics(program)[requests] == 7)
    program.upgrade()
    assert metrics(program)[requests] == 7


def test_the_health_of_targets_goes_along(serve: Start, upstream: UpstreamFactory):
    """A target that was found down gets nothing from the new process either, before that has asked after it."""
    well, ill = upstream(), upstream(reply(status=500))
    check = 'health = { path = "/health", every = "60s", timeout = "1s", fall = 1, rise = 1 }'
    program = serve(configuration(well, ill, upstream=check))
    states = lambda: {one["target"]: one["state"] for one in program.running["status"]["upstreams"]["app"]}  # noqa: E731
    until(lambda: states() == {well.url: "up", ill.url: "down"}, seconds=60)
    program.upgrade()
    assert states() == {well.url: "up", ill.url: "down"}


def test_what_cannot_be_taken_is_refused(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    sound = program.file.read_text()
    # The watcher refuses it too; neither changes anything.
    program.file.write_text(sound + "\n[route.other]\nmach = '/x'\n")
    with pytest.raises(GatewayError, match="does not take"):
        program.upgrade()
    assert get(program.address).status == 200
    assert program.running["gateway"] == program.gateways[0]
    program.file.write_text(sound)
    program.upgrade()
    assert get(program.address).status == 200


def test_sigusr2_and_a_python_policy(serve: Start, upstream: UpstreamFactory, tmp_path: Path):
    (tmp_path / "mine.py").write_text(POLICY)
    policy = '[policy.mine]\ntype = "python"\ncall = "mine:numbered"\n'
    route = 'match = "/{rest:path}"\nuse = ["mine"]'
    program = serve(configuration(upstream(echo), route=route, more=policy))
    lanes = [lane_of(program)]
    with Load(program.address) as load:
        load.more(100)
        os.kill(program.pid, signal.SIGUSR2)
        until(lambda: program.running["gateway"] not in (0, program.gateways[0]), seconds=60)
        program.gateways.append(program.running["gateway"])
        load.more(100)
    assert load.failures == []
    lanes.append(lane_of(program))
    assert lanes[0] != lanes[1]
    until(lambda: not is_running(lanes[0]), seconds=60)
    os.kill(lanes[1], signal.SIGKILL)
    until(lambda: lane_of(program) not in (0, *lanes), seconds=60)


POLICY = """
import os
from pylos import Allow, Request, policy

@policy
def numbered(request: Request) -> Allow:
    return Allow(headers={"x-lane": str(os.getpid())})
"""


def echo(request: Request) -> bytes:
    lane = request.header("x-lane") or "0"
    return reply(lane)


def lane_of(program: Program) -> int:
    """The lane that answers; 0 when there is none at the moment."""
    answer = get(program.address)
    return int(answer.body) if answer.status == 200 else 0


def test_a_lost_supervisor_is_followed_by_another(serve: Start, upstream: UpstreamFactory, tmp_path: Path):
    (tmp_path / "mine.py").write_text(POLICY)
    policy = '[policy.mine]\ntype = "python"\ncall = "mine:numbered"\n'
    route = 'match = "/{rest:path}"\nuse = ["mine"]'
    text = configuration(upstream(echo), route=route, more=policy)
    program = serve(text)
    with RawClient(program.address) as kept, Load(program.address) as load:
        lane = int(kept.get("/").body)
        os.kill(program.pid, signal.SIGKILL)
        program.process.wait(10)
        load.more(200)
        assert int(kept.get("/").body) == lane
        assert program.events("supervisor_lost")
        after = serve(text, program.name)
        assert after.gateways == program.gateways
        assert after.address == program.address
        load.more(200)
        assert kept.get("/").status == 200
        until(lambda: not is_running(lane), seconds=60)
        assert after.running["gateway"] == program.gateways[0]
        # It is the process' supervisor in all respects.
        assert after.upgrade() != program.gateways[0]
        load.more(200)
    assert load.failures == []


def test_the_admin_api_waits_for_another_supervisor(serve: Start, upstream: UpstreamFactory):
    text = configuration(upstream(), more=OPS.replace('"health"]', '"health", "admin"]'))
    program = serve(text)
    assert get(program.ops, "/api/v1/status").json()["running"]["pid"] == program.pid
    os.kill(program.pid, signal.SIGKILL)
    program.process.wait()
    gone = get(program.ops, "/api/v1/status")
    assert (gone.status, gone.header("pylos-reason")) == (503, "admin_gone")
    assert get(program.ops, "/livez").status == 200
    after = serve(text, program.name)
    assert get(program.ops, "/api/v1/status").json()["running"]["pid"] == after.pid


def test_an_adopted_process_that_dies_is_replaced(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    os.kill(program.pid, signal.SIGKILL)
    program.process.wait(10)
    after = serve(program.file.read_text(), program.name)
    os.kill(after.gateways[0], signal.SIGKILL)
    until(lambda: after.running["gateway"] not in (0, after.gateways[0]), seconds=60)
    after.gateways.append(after.running["gateway"])
    assert get(after.address).status == 200


def test_nobody_takes_a_name_that_is_taken(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    command = [sys.executable, "-m", "pylos", "serve", "-c", str(program.file), "-n", program.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert f"process {program.pid}" in done.stderr
    assert get(program.address).status == 200


def begun(program: Program) -> None:
    """Ask for an upgrade, and wait until the new program is being asked whether it takes the file."""
    before = len(program.events("upgrade"))
    os.kill(program.pid, signal.SIGUSR2)
    until(lambda: len(program.events("upgrade")) > before, seconds=60)


def test_a_gateway_that_dies_meanwhile_is_replaced_at_once(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    begun(program)
    os.kill(program.gateways[0], signal.SIGKILL)
    until(lambda: program.running["gateway"] not in (0, program.gateways[0]), seconds=60)
    until(lambda: bool(program.events("upgraded") or program.events("upgrade_refused")), seconds=60)
    program.gateways.append(program.running["gateway"])
    assert get(program.address).status == 200


def test_a_signal_to_end_is_not_lost(serve: Start, upstream: UpstreamFactory):
    program = serve(configuration(upstream()))
    begun(program)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(60) == 0
    assert not program.events("upgraded")
    assert not is_running(program.gateways[0])


def test_a_program_that_cannot_be_started_changes_nothing(serve: Start, upstream: UpstreamFactory, tmp_path: Path):
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    # Found by its own name, it does not know of the environment: that is told by the path of its modules.
    program = serve(configuration(upstream()), python=python)
    python.unlink()
    with pytest.raises(GatewayError, match="cannot start the new program"):
        program.upgrade()
    assert get(program.address).status == 200
    assert program.running["gateway"] == program.gateways[0]


def test_what_was_replaced_before_is_seen_off(serve: Start, upstream: UpstreamFactory):
    gate = Gate()
    program = serve(configuration(upstream(gate)))
    with RawClient(program.address) as client:
        gate.shut()
        client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        gate.wait_for_one()
        program.upgrade()
        program.upgrade()
        assert is_running(program.gateways[0])
        gate.open()
        assert client.read_response().status == 200
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in program.gateways[:2]), seconds=60)
    assert get(program.address).status == 200


def test_who_was_to_be_followed_counts_alone_again(serve: Start, upstream: UpstreamFactory):
    """Both the new process and the supervisor are killed while the old one asks the new one."""
    program = serve(configuration(upstream(), route=LIMITED, more=LIMIT))
    with RawClient(program.address) as late:
        late.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Key: a\r\n")
        assert keyed(program, "other") == 200
        new = program.upgrade()
        os.kill(program.pid, signal.SIGKILL)
        program.process.wait(10)
        os.kill(new, signal.SIGKILL)
        until(lambda: not is_running(new), seconds=60)
        late.send(b"\r\n")
        assert late.read_response().status == 200
