"""`pylos serve` and `pylos demo` as a user starts them, over the real gateway process."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from pylos.config import load_text
from pylos.testing import EchoUpstream, RawClient, ScriptedUpstream, SteadyLoad, Wait, reply

CONFIG = """
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["{target}"]
[route.all]
match = "/{{rest:path}}"
to = "app"
"""


class Program:
    """A running `pylos serve -c FILE`."""

    def __init__(self, file: Path) -> None:
        read, write = os.pipe()
        command = [sys.executable, "-m", "pylos", "serve", "-c", str(file), "--ready-fd", str(write)]
        self.process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.PIPE)
        os.close(write)
        with os.fdopen(read) as pipe:
            self.ready: dict[str, Any] = json.loads(pipe.read())
        self.address: str = self.ready["listen"]["http"][0]

    def hears(self, event: str) -> dict[str, Any]:
        """Wait until an event is told; gives its line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
        raise AssertionError(f"ended without {event}")

    def end(self) -> None:
        """End it, and a gateway process that serves on without it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with suppress(ProcessLookupError):
            os.kill(self.ready["gateway"], signal.SIGKILL)


Serve = Callable[[str], Program]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pylos.toml"


@pytest.fixture
def serve(file: Path) -> Iterator[Serve]:
    programs: list[Program] = []

    def start(target: str) -> Program:
        file.write_text(CONFIG.format(target=target))
        programs.append(Program(file))
        return programs[-1]

    yield start
    for program in programs:
        program.end()
        assert program.process.stderr is not None
        program.process.stderr.close()


def test_a_request_goes_through(serve: Serve, echo: EchoUpstream) -> None:
    program = serve(echo.url)
    with RawClient(program.address) as client:
        assert client.get("/orders?x=1").json()["target"] == "/orders?x=1"


def test_sighup_puts_a_changed_file_into_use_and_no_request_fails(serve: Serve, file: Path) -> None:
    with ScriptedUpstream(reply(b"one")) as one, ScriptedUpstream(reply(b"two")) as two:
        program = serve(one.url)
        with SteadyLoad(program.address, clients=2) as load:
            for upstream in (two, one, two):
                load.wait_for(20)
                file.write_text(CONFIG.format(target=upstream.url))
                program.process.send_signal(signal.SIGHUP)
                while "SIGHUP" not in program.hears("reloaded")["message"]:
                    pass  # the watched file tells of the same change
            load.wait_for(20)
        assert load.failures == []
        with RawClient(program.address) as client:
            assert client.get().text == "two"


def test_a_bad_file_changes_nothing(serve: Serve, file: Path) -> None:
    with ScriptedUpstream() as upstream:
        program = serve(upstream.url)
        file.write_text(CONFIG.format(target=upstream.url).replace("match", "matsch"))
        program.process.send_signal(signal.SIGHUP)
        told = program.hears("reload_refused")["message"]
        assert "error[P102]" in told
        assert f"--> {file}:9:1" in told
        assert "did you mean" in told
        with RawClient(program.address) as client:
            assert client.get().status == 200


def test_a_killed_gateway_process_is_replaced_and_nothing_is_refused(serve: Serve) -> None:
    with ScriptedUpstream() as upstream:
        program = serve(upstream.url)
        with SteadyLoad(program.address, keep_alive=False) as load:
            load.wait_for(20)
            os.kill(program.ready["gateway"], signal.SIGKILL)
            replaced = program.hears("gateway_replaced")
            load.wait_for(50)
        refused = [failure for failure in load.failures if "Refused" in failure]
        assert refused == []
        assert len(load.failures) <= 2, "at most what was in flight"
        assert replaced["gateway"] != program.ready["gateway"]


def test_sigterm_finishes_what_is_in_flight(serve: Serve) -> None:
    go = threading.Event()
    with ScriptedUpstream([Wait(go), reply(b"late")]) as upstream:
        program = serve(upstream.url)
        with RawClient(program.address) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream.wait_for_requests(1)
            program.process.send_signal(signal.SIGTERM)
            wait_until_refused(program.address)
            go.set()
            response = client.read_response()
            assert (response.text, response.header("connection")) == ("late", "close")
            client.expect_eof()
        assert program.process.wait(10) == 0


def wait_until_refused(address: str) -> None:
    """Connect until nobody listens any more: then the drain has begun in the gateway process, too."""
    host, _, port = address.rpartition(":")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == errno.ECONNREFUSED:
                return
    raise TimeoutError(f"{address} still takes connections")


def test_without_its_supervisor_a_gateway_serves_on(serve: Serve) -> None:
    go = threading.Event()
    with ScriptedUpstream([Wait(go), reply(b"late")], reply(b"later")) as upstream:
        program = serve(upstream.url)
        with RawClient(program.address) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream.wait_for_requests(1)
            program.process.kill()
            program.hears("supervisor_lost")
            go.set()
            assert client.read_response().text == "late"
            assert client.get().text == "later"
        with RawClient(program.address) as client:
            assert client.get().text == "later"


def test_the_demo_does_what_it_says() -> None:
    command = [sys.executable, "-m", "pylos", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            lines = list(takewhile(lambda line: line != "Ctrl-C ends it.\n", process.stdout))
            tries = [re.findall(r"(?:-X (\w+) )?http://([^/]+)(/\S*)", line) for line in lines if "  curl" in line]
            statuses = [answered(address, method or "GET", path) for [(method, address, path)] in tries]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert statuses == [200, 200, 405, 308, 200, 200]


def answered(address: str, method: str, path: str) -> int:
    with RawClient(address) as client:
        return client.request(method, path).status


def test_sockets_that_were_lost_on_the_way_refuse_the_table() -> None:
    """The kernel drops descriptors that the receiver has no room for."""
    ours, theirs = socket.socketpair()
    program = "import sys; from pylos._core import run_gateway; sys.exit(run_gateway(int(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(theirs.fileno())]
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as gateway:
        theirs.close()
        table = load_text(CONFIG.format(target="http://127.0.0.1:1"), "x.toml").table
        order = {"type": "apply", "generation": 1, "table": table, "sockets": [{"bind": "127.0.0.1:0"}]}
        for message in (order, {"type": "stop"}):
            text = json.dumps(message).encode()
            ours.sendall(len(text).to_bytes(4) + text)
        with ours.makefile("rb") as told:
            reports = [json.loads(told.read(int.from_bytes(told.read(4)))) for _ in range(2)]
        assert gateway.wait() == 0
    (problem,) = reports[1]["problems"]
    assert (reports[1]["type"], problem["code"]) == ("refused", "P207")
    assert "of 1 new sockets only 0" in problem["message"]
