"""`serve` as a program: signals, files, the ready line, exit codes. The gateway process is one in miniature."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pylos.testing import RawClient

CONFIG = """
[listen.http]
bind = "127.0.0.1:0"
[route.{name}]
match = "/{{rest:path}}"
respond = {{ text = "hello" }}
"""


class Served:
    """A running `serve`; its words on standard error come line by line."""

    def __init__(self, file: Path) -> None:
        read, write = os.pipe()
        fake = Path(__file__).parent / "fake_supervisor.py"
        command = [sys.executable, str(fake), "serve", str(file), str(write)]
        self.process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.PIPE)
        os.close(write)
        with os.fdopen(read) as pipe:
            line = pipe.read()  # up to the end: the descriptor is closed behind the line
        self.ready: dict[str, Any] = json.loads(line) if line else {}

    def get(self) -> dict[str, int]:
        with RawClient(self.ready["listen"]["http"][0]) as client:
            answer: dict[str, int] = client.get().json()
            return answer

    def hears(self, event: str) -> dict[str, Any]:
        """Wait until an event is told; gives its line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
        raise AssertionError(f"ended without {event}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pylos.toml"
    path.write_text(CONFIG.format(name="site"))
    return path


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Served]]:
    with ExitStack() as stack:

        def start(path: Path) -> Served:
            served = Served(path)
            stack.callback(served.end)
            return served

        yield start


Serve = Callable[[Path], Served]


def test_the_ready_line(serve: Serve, file: Path) -> None:
    served = serve(file)
    assert served.ready["pid"] == served.process.pid
    assert served.get() == {"pid": served.ready["gateway"], "generation": 1}


@pytest.mark.parametrize(
    "text,told",
    [
        pytest.param("[listen", "P101", id="no TOML"),
        pytest.param('[listen.http]\nbind = "127.0.0.1:0"\ncolour = 1\n', "pylos.toml:3:1\n", id="unknown key"),
        pytest.param('[listen.http]\nbind = "192.0.2.1:1"\n', "cannot listen on 192.0.2.1:1", id="no such address"),
    ],
)
def test_a_bad_configuration_at_the_start(serve: Serve, file: Path, text: str, told: str) -> None:
    file.write_text(text)
    served = serve(file)
    _, stderr = served.process.communicate(timeout=10)
    assert served.process.returncode == 1
    assert served.ready == {}
    assert told in stderr.decode()


@pytest.mark.parametrize("by_signal", [True, False], ids=["SIGHUP", "the file alone"])
def test_a_changed_file_is_put_into_use(serve: Serve, file: Path, *, by_signal: bool) -> None:
    served = serve(file)
    file.write_text(CONFIG.format(name="other"))
    if by_signal:
        served.process.send_signal(signal.SIGHUP)
    served.hears("reloaded")
    assert served.get()["pid"] == served.ready["gateway"]
    assert served.get()["generation"] >= 2


def test_a_bad_change_is_told_and_the_old_one_stays(serve: Serve, file: Path) -> None:
    served = serve(file)
    file.write_text("[listen.http]\nbindd = 1\n")
    served.process.send_signal(signal.SIGHUP)
    told = served.hears("reload_refused")
    assert "error[P102]" in told["message"]
    assert "pylos.toml:2:1\n" in told["message"]
    assert "the configuration in use stays" in told["message"]
    assert served.get() == {"pid": served.ready["gateway"], "generation": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(serve: Serve, file: Path, number: signal.Signals) -> None:
    served = serve(file)
    with RawClient(served.ready["listen"]["http"][0]) as client:
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        served.get()  # behind it in the queue of connections: the first is in the gateway's hands now
        served.process.send_signal(number)
        served.hears("shutdown")
        client.send(b"x")
        assert client.read_response().status == 200
    assert served.process.wait(10) == 0


def test_a_second_signal_ends_at_once(serve: Serve, file: Path) -> None:
    served = serve(file)
    with RawClient(served.ready["listen"]["http"][0]) as client:
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        served.get()
        served.process.send_signal(signal.SIGTERM)
        served.hears("shutdown")
        served.process.send_signal(signal.SIGTERM)
        served.hears("hurry")
        client.expect_eof()
    assert served.process.wait(10) == 0


def test_a_killed_supervisor_takes_its_gateway_along(serve: Serve, file: Path) -> None:
    served = serve(file)
    with RawClient(served.ready["listen"]["http"][0]) as client:
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        served.get()
        served.process.kill()
        client.send(b"x")
        assert client.read_response().status == 200, "it drains"
        client.expect_eof()
