"""What dies, reloads or ends under load, and no request fails: a target, the configuration, the gateway process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from system.load import Load
from system.rig import Front, configuration, connects, resident, until

from pylos import Gateway
from pylos.testing import RawClient, Request, UpstreamConnection, Wait, reply
from pylos.testing.plugin import GatewayFactory, UpstreamFactory

CHECKED = 'health = { path = "/health", every = "200ms", timeout = "200ms", fall = 2, rise = 2 }'
RELOADS = 100
GROWTH = 4 << 20
"""How far resident memory may stay above its baseline after a hundred reloads."""


@dataclass
class Target:
    """A server in a process of its own."""

    name: str
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on the same port as before."""
        command = [sys.executable, str(Path(__file__).with_name("target_server.py")), self.name, str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        out: IO[bytes] | None = self.process.stdout
        assert out is not None
        with out:
            self.port = int(out.readline())

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    @property
    def url(self) -> str:
        """As a target of the configuration."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def targets() -> Iterator[list[Target]]:
    with ExitStack() as stack:
        made = [Target(name) for name in ("one", "two", "three")]
        for target in made:
            stack.callback(target.kill)
            target.start()
        yield made


def _state(gateway: Gateway, target: Target) -> str:
    states: dict[str, str] = {one["target"]: one["state"] for one in gateway.status()["upstreams"]["app"]}
    return states[target.url]


def test_killed_target_goes_and_comes_back(targets: list[Target], front: Front):
    gateway = front(*[target.url for target in targets], upstream=CHECKED)
    with Load(gateway.address()) as load:
        load.more(300)
        assert set(load.bodies) == {b"one", b"two", b"three"}
        targets[1].kill()
        until(lambda: _state(gateway, targets[1]) != "up")
        before = load.bodies[b"two"]
        load.more(300)
        assert load.bodies[b"two"] == before
        targets[1].start()
        until(lambda: _state(gateway, targets[1]) == "up", seconds=20)
        load.more(300)
        assert load.bodies[b"two"] > before
    assert load.failures == []


def test_killed_target_without_health_checks(targets: list[Target], front: Front):
    """Failed connects eject it, and a trial brings it back."""
    gateway = front(*[target.url for target in targets])
    with Load(gateway.address()) as load:
        load.more(300)
        targets[1].kill()
        load.more(300)
        until(lambda: _state(gateway, targets[1]) == "ejected")
        targets[1].start()
        before = load.bodies[b"two"]
        until(lambda: load.bodies[b"two"] > before, seconds=30)
    assert load.failures == []


def test_a_hundred_reloads_under_load(gateway: GatewayFactory, upstream: UpstreamFactory, tmp_path: Path):
    """Each changes the file; memory comes back to where it was after the first few."""
    app = upstream()
    file = tmp_path / "pylos.toml"

    def write(number: int) -> None:
        more = f'[policy.numbered]\ntype = "headers"\nresponse = {{ set = {{ x-number = "{number}" }} }}'
        route = 'match = "/{rest:path}"\nuse = ["numbered"]'
        text = configuration(app, route=route, more=more)
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").rename(file)

    def reload(number: int) -> None:
        write(number)
        served.signal(signal.SIGHUP)
        until(lambda: _number(served) == str(number))

    write(0)
    served = gateway(file)
    pid = served.gateway_pid
    with Load(served.address(), clients=4) as load:
        for number in range(1, 11):
            reload(number)
        load.more(200)
        baseline = resident(pid)
        for number in range(11, 11 + RELOADS):
            reload(number)
        load.more(200)
        until(lambda: resident(pid) - baseline < GROWTH)
    assert load.failures == []
    assert served.gateway_pid == pid


def _number(gateway: Gateway) -> str | None:
    with RawClient(gateway.address()) as client:
        return client.get().header("x-number")


def test_refused_file_changes_nothing(gateway: GatewayFactory, upstream: UpstreamFactory, tmp_path: Path):
    app = upstream()
    file = tmp_path / "pylos.toml"
    good = configuration(app, route='match = "/x"')
    file.write_text(good)
    served = gateway(file)
    with Load(served.address(), clients=2):
        file.write_text(good.replace("[route.all]", "[rout.all]"))
        served.signal(signal.SIGHUP)
        generation = served.status()["generation"]
        with RawClient(served.address()) as client:
            assert client.get("/x").status == 200
        file.write_text(good.replace('match = "/x"', 'match = "/y"'))
        served.signal(signal.SIGHUP)
        until(lambda: served.status()["generation"] > generation)
        with RawClient(served.address()) as client:
            assert client.get("/y").status == 200
            assert client.get("/x").status == 404


def test_drain_finishes_what_runs(front: Front, upstream: UpstreamFactory):
    """SIGTERM during a GET: its answer comes with `Connection: close`, nothing new is taken, the exit code is 0."""
    go_on = threading.Event()
    app = upstream([Wait(go_on), reply(b"slow")])
    gateway = front(app)
    address = gateway.address()
    with RawClient(address) as busy, RawClient(address) as idle:
        idle.send(b"GET /idle-first HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(2)
        gateway.signal(signal.SIGTERM)
        until(lambda: not connects(address))
        busy.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        go_on.set()
        for client in (busy, idle):
            response = client.read_response()
            assert (response.status, response.body) == (200, b"slow")
            assert response.header("connection") == "close"
            client.expect_eof()
    assert gateway.wait(10) == 0
    assert sorted(request.target for request in app.requests) == ["/idle-first", "/slow"]


def test_drain_closes_idle_connections_at_once(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream())
    with RawClient(gateway.address()) as used, RawClient(gateway.address()) as fresh:
        assert used.get().status == 200
        gateway.signal(signal.SIGTERM)
        started = time.monotonic()
        used.expect_eof()
        fresh.expect_eof()
        assert gateway.wait(10) == 0
        assert time.monotonic() - started < 5


def test_drain_serves_what_was_queued(front: Front, upstream: UpstreamFactory):
    """A request sent before SIGTERM over a connection that nobody had time to accept."""
    gateway = front(upstream())
    pid = gateway.gateway_pid
    os.kill(pid, signal.SIGSTOP)
    with RawClient(gateway.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        gateway.signal(signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        assert client.read_response().status == 200
    assert gateway.wait(10) == 0


def test_drain_has_a_deadline(front: Front, upstream: UpstreamFactory):
    app = upstream([Wait(threading.Event())])
    gateway = front(app, pylos='access_log = false\ndrain = "1s"')
    with RawClient(gateway.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        gateway.wait(10)
        assert 0.9 < time.monotonic() - started < 5
        client.read_to_end()


def test_killed_gateway_is_replaced(front: Front, upstream: UpstreamFactory):
    """The supervisor holds the sockets: connections of the gap wait and are served."""
    gateway = front(upstream())
    for _ in range(3):
        pid = gateway.gateway_pid
        os.kill(pid, signal.SIGKILL)
        with RawClient(gateway.address()) as client:
            assert client.get().status == 200
        assert gateway.wait_for_process(other_than=pid) != pid


def test_killed_gateway_under_load_loses_only_what_ran(front: Front, upstream: UpstreamFactory):
    """Requests that were under way are lost; no connection is refused, and everything after is served."""
    gateway = front(upstream())
    with Load(gateway.address()) as load:
        load.more(100)
        pid = gateway.gateway_pid
        os.kill(pid, signal.SIGKILL)
        gateway.wait_for_process(other_than=pid)
        load.more(100)
        failures = list(load.failures)
        load.more(100)
        assert load.failures == failures
    assert not [failure for failure in failures if "Refused" in failure]


def test_slow_answer_survives_a_reload(front: Front, upstream: UpstreamFactory):
    """A request that began under one configuration ends under it."""
    go_on = threading.Event()

    def story(connection: UpstreamConnection, _: Request) -> None:
        connection.wait(go_on)
        connection.send(reply(b"slow"))

    app = upstream(story)
    gateway = front(app)
    with RawClient(gateway.address()) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        gateway.reload_toml(configuration("http://127.0.0.1:1", route='match = "/other"'))
        go_on.set()
        assert client.read_response().body == b"slow"
        assert client.get("/slow").status == 404
