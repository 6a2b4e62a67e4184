"""Under a service manager: sockets that it passes, and what it is told."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from system.serving import Serve, configuration

STARTED_WITH = """
import os, sys
sockets, *rest = sys.argv[1:]
for place, descriptor in enumerate(map(int, filter(None, sockets.split(","))), 3):
    os.dup2(descriptor, place)
os.environ.update(LISTEN_PID=str(os.getpid()), WATCHDOG_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *rest])
"""
"""Puts sockets where a service manager puts them, and becomes the program."""


class Manager:
    """The manager's end of the socket on which it is told things."""

    def __init__(self, socket_: socket.socket) -> None:
        self._socket = socket_
        self._socket.settimeout(20)

    def hears(self, word: str) -> dict[str, str]:
        """Wait for a datagram that has a word; gives all that is in it."""
        while True:
            words = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            if word in words:
                return words


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = str(tmp_path / "notify") if request.param == "path" else f"@pylos-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield Manager(listening)


# -- what it is told -------------------------------------------------------------------------------------------------


def test_it_is_told_of_the_whole_life(serve: Serve, file: Path, manager: Manager):
    served = serve(file)
    ready = manager.hears("READY")
    assert ready["MAINPID"] == str(served.ready["pid"])
    assert ready["STATUS"] == f"configuration 1 serves on {served.address}"

    before = time.monotonic_ns() // 1000
    file.write_text(configuration('drain = "1s"'))
    served.signal(signal.SIGHUP)
    assert before <= int(manager.hears("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert "configuration 2" in manager.hears("READY")["STATUS"]

    file.write_text("[listen")
    served.signal(signal.SIGHUP)
    manager.hears("RELOADING")
    assert "configuration 2" in manager.hears("READY")["STATUS"], "a reload that is refused ends, too"

    served.signal(signal.SIGTERM)
    manager.hears("STOPPING")


def test_the_watchdog_is_fed_twice_as_often_as_it_asks(serve: Serve, file: Path, manager: Manager):
    environ = {"WATCHDOG_USEC": "400000"}
    serve(file, environ=environ, before=[sys.executable, "-c", STARTED_WITH, ""])
    manager.hears("WATCHDOG")
    begun = time.monotonic()
    for _ in range(3):
        manager.hears("WATCHDOG")
    assert time.monotonic() - begun == pytest.approx(0.6, abs=0.35)


def test_a_manager_that_is_not_there_changes_nothing(serve: Serve, file: Path, tmp_path: Path):
    assert serve(file, environ={"NOTIFY_SOCKET": str(tmp_path / "none")}).get() == 200


# -- what it passes --------------------------------------------------------------------------------------------------


def passing(*sockets: socket.socket | IO[str], names: str | None = None) -> dict[str, object]:
    """How a program is started with these sockets."""
    numbers = [one.fileno() for one in sockets]
    environ = {"LISTEN_FDS": str(len(sockets))} | ({} if names is None else {"LISTEN_FDNAMES": names})
    before = [sys.executable, "-c", STARTED_WITH, ",".join(map(str, numbers))]
    return {"environ": environ, "before": before, "pass_fds": numbers}


@pytest.fixture
def passed() -> Iterator[socket.socket]:
    """A listening socket that somebody has opened, at a high number: low ones are where they are put."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_a_bind_takes_the_socket_that_was_passed(serve: Serve, file: Path, passed: socket.socket):
    address = "{}:{}".format(*passed.getsockname())
    file.write_text(configuration(bind=address))
    served = serve(file, **passing(passed, names="web"))

    assert (served.address, served.get()) == (address, 200)
    assert "socket_unused" not in served.events()


def test_connections_wait_while_nobody_serves(serve: Serve, file: Path, passed: socket.socket):
    file.write_text(configuration(bind="{}:{}".format(*passed.getsockname())))
    first = serve(file, **passing(passed))
    first.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    with socket.create_connection(passed.getsockname()) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        serve(file, **passing(passed))
        assert waiting.recv(15) == b"HTTP/1.1 200 OK"


def test_an_address_that_a_reload_drops_and_takes_again(serve: Serve, file: Path, passed: socket.socket):
    address = "{}:{}".format(*passed.getsockname())
    file.write_text(configuration(bind=address))
    served = serve(file, **passing(passed))
    file.write_text(configuration())
    served.hears("reloaded")
    file.write_text(configuration(bind=address))
    served.hears("reloaded")

    assert served.get(address) == 200


def test_an_upgrade_keeps_the_socket_and_the_manager(serve: Serve, file: Path, passed: socket.socket, manager: Manager):
    address = "{}:{}".format(*passed.getsockname())
    file.write_text(configuration(bind=address))
    served = serve(file, **passing(passed))
    manager.hears("READY")
    served.signal(signal.SIGUSR2)
    manager.hears("RELOADING")
    assert manager.hears("READY")["MAINPID"] == str(served.ready["pid"])
    file.write_text(configuration())
    served.hears("reloaded")
    file.write_text(configuration(bind=address))
    served.hears("reloaded")

    assert served.get(address) == 200
    assert "socket_unused" not in served.events()


def test_a_unix_socket_that_was_passed_stays_when_we_end(serve: Serve, file: Path, tmp_path: Path):
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        file.write_text(configuration(bind=f"unix:{path}"))
        served = serve(file, **passing(made))
        assert served.get() == 200
        served.events()
        assert path.exists()


def test_sockets_that_nobody_asked_for_are_told(serve: Serve, file: Path, passed: socket.socket):
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams,
        Path(os.devnull).open() as nothing,
    ):
        datagrams.bind(("::1", 0))
        port = datagrams.getsockname()[1]
        served = serve(file, **passing(passed, datagrams, nothing, names="web:dns"))
        told = served.hears("socket_unused")["sockets"]

    assert sorted(told) == [
        f"dns ([::1]:{port}, not listening for streams)",
        "unknown (descriptor 5, no socket)",
        "web ({}:{})".format(*passed.getsockname()),
    ]
    assert served.get() == 200


def test_what_was_passed_to_another_process_is_not_ours(serve: Serve, file: Path):
    served = serve(file, environ={"LISTEN_FDS": "1", "LISTEN_PID": "1"})

    assert served.get() == 200
    assert "socket_unused" not in served.events()
