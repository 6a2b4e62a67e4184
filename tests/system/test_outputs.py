"""Outputs that nobody reads: requests and reloads go on, and what is lost is counted."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from system.rig import configuration, until

from pylos import Gateway, supervisor
from pylos.testing import RawClient, ScriptedUpstream, SteadyLoad

OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics"]\n'
LONG = [("User-Agent", "u" * 2000), ("Host", "a")]
"""What makes a line long: some thousand of them are more than may wait."""


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes nothing any more: its reading and its writing end."""
    read, write = os.pipe()
    try:
        fill(write)
        yield read, write
    finally:
        os.close(read)
        with suppress(OSError):
            os.close(write)


def fill(write: int) -> None:
    flags = fcntl.fcntl(write, fcntl.F_GETFL)
    fcntl.fcntl(write, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(write, b"\n" * size)
    fcntl.fcntl(write, fcntl.F_SETFL, flags)


def dropped(gateway: Gateway) -> int:
    with RawClient(gateway.address("ops")) as client:
        page = client.get("/metrics").text
    return int(re.search(r"^pylos_log_lines_dropped_total (\d+)$", page, re.MULTILINE)[1])  # type: ignore[index]


def test_an_access_log_on_a_full_pipe(upstream):
    text = configuration(upstream(), pylos="workers = 1", more=OPS)
    with full_pipe() as (_, write), Gateway.from_toml(text, stdout=write) as gateway:
        answered = 0
        with RawClient(gateway.address()) as client:
            while dropped(gateway) == 0:
                for _ in range(500):
                    assert client.request("GET", "/" + "p" * 1500, LONG, host=None).status == 200
                answered += 500
                assert answered < 20_000
        before = dropped(gateway)
        gateway.reload_toml(text + "# again\n")
        with RawClient(gateway.address()) as client:
            assert client.get().status == 200
        assert 0 < before <= dropped(gateway) <= answered


def test_an_access_log_on_a_fifo_without_a_reader(tmp_path: Path, upstream):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    log = f'access_log = {{ path = "{fifo}" }}'
    with Gateway.from_toml(configuration(upstream(), pylos=log)) as gateway:
        with RawClient(gateway.address()) as client:
            assert client.get("/one").status == 200
        with fifo.open() as reader:
            assert json.loads(reader.readline())["path"] == "/one", "it has waited for one"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such file here")
def test_a_full_disk(tmp_path: Path, upstream):
    link = tmp_path / "log"
    link.symlink_to("/dev/full")
    log = f'access_log = {{ path = "{link}" }}'
    with Gateway.from_toml(configuration(upstream(), pylos=log, more=OPS)) as gateway:
        with RawClient(gateway.address()) as client:
            for _ in range(3):
                assert client.get().status == 200
        until(lambda: dropped(gateway) >= 3)  # and the lines of this question
        link.unlink()
        gateway._ask({"type": "reopen"})
        with RawClient(gateway.address()) as client:
            assert client.get("/room").status == 200
        until(lambda: link.exists() and "/room" in link.read_text())
        assert dropped(gateway) == dropped(gateway)


@contextmanager
def served(file: Path, stderr: int) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    read, write = os.pipe()
    command = [sys.executable, "-m", "pylos", "serve", "-c", str(file), "--ready-fd", str(write)]
    with subprocess.Popen(command, pass_fds=[write], stderr=stderr) as process:
        os.close(write)
        with os.fdopen(read) as pipe:
            ready = json.loads(pipe.read())
        try:
            yield process, ready
        finally:
            process.kill()


def test_events_on_a_full_pipe(tmp_path: Path):
    """Both processes have much to tell that nobody reads."""
    file = tmp_path / "pylos.toml"
    with ScriptedUpstream() as app, full_pipe() as (read, write):
        down = '[upstream.down]\ntargets = ["http://127.0.0.1:1"]\nhealth = { path = "/", every = "10ms", fall = 1 }\n'
        text = configuration(app, more=down)
        file.write_text(text)
        with served(file, write) as (process, ready):
            os.close(write)
            with SteadyLoad(ready["listen"]["http"][0], clients=2) as load:
                for number in range(300):
                    file.write_text(f'{text}[route.r{number}]\nmatch = "/r{number}"\nrespond = {{ status = 204 }}\n')
                    line = supervisor.connect("default")
                    assert line.ask({"type": "reload"})["number"] >= number
                    line.close()
                load.wait_for(50)
            assert load.failures == []
            with os.fdopen(os.dup(read), "rb") as told:
                hear(told, {"target_down", "listening", "reloaded"})
                process.send_signal(signal.SIGTERM)
                hear(told, {"ended"})
            assert process.wait(20) == 0


def hear(told: IO[bytes], events: set[str]) -> None:
    """Read events until each of these has come."""
    missing = set(events)
    while missing:
        line = told.readline()
        assert line, f"ended without {missing}"
        missing -= {json.loads(line)["event"]} if line.strip() else set()
