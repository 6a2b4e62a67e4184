"""An address is one gateway's: what a second one, a killed one and a reload find there."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from system.serving import Serve, configuration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pylos.toml"
    path.write_text(configuration())
    return path


def test_a_second_gateway_on_a_port_is_refused(serve: Serve, file: Path, tmp_path: Path):
    first = serve(file)
    second = tmp_path / "second.toml"
    second.write_text(configuration(bind=first.address))
    told = serve(second, ["-n", "second"]).failure()

    assert f"cannot listen on {first.address}: Address already in use ([listen.http] bind[0])" in told
    assert first.get() == 200


def test_a_second_gateway_on_a_unix_socket_is_refused(serve: Serve, file: Path, tmp_path: Path):
    path = tmp_path / "gate.sock"
    file.write_text(configuration(bind=f"unix:{path}"))
    first = serve(file)
    inode = path.stat().st_ino
    told = serve(file, ["-n", "second"]).failure()

    assert f"cannot listen on unix:{path}: a live server listens there" in told
    assert path.stat().st_ino == inode
    assert first.get() == 200


def test_a_unix_socket_of_a_killed_gateway_is_replaced(serve: Serve, file: Path, tmp_path: Path):
    path = tmp_path / "gate.sock"
    file.write_text(configuration(bind=f"unix:{path}"))
    first = serve(file)
    gateway = os.pidfd_open(first.ready["gateway"])
    first.signal(signal.SIGKILL)
    first.process.wait()
    signal.pidfd_send_signal(gateway, signal.SIGKILL)
    assert first.process.stderr is not None
    assert first.process.stderr.read() is not None, "whoever writes there has ended"
    os.close(gateway)

    assert path.is_socket()
    assert serve(file).get() == 200


def test_a_file_at_the_path_is_left_alone(serve: Serve, file: Path, tmp_path: Path):
    (tmp_path / "gate.sock").write_text("precious")
    file.write_text(configuration(bind=f"unix:{tmp_path}/gate.sock"))

    assert "the path exists and is no socket" in serve(file).failure()
    assert (tmp_path / "gate.sock").read_text() == "precious"


def test_a_reload_that_keeps_the_path_leaves_no_gap(serve: Serve, file: Path, tmp_path: Path):
    path = tmp_path / "gate.sock"
    text = configuration(bind=f"unix:{path}")
    file.write_text(text)
    served = serve(file)
    over, failures, tries = threading.Event(), [], [0]

    def connect() -> None:
        while not over.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                tries[0] += 1
                if code := client.connect_ex(str(path)):
                    failures.append(os.strerror(code))

    connecting = threading.Thread(target=connect)
    connecting.start()
    for number in range(5):
        mode = f'mode = "066{number}"\n'
        file.write_text(text.replace("[route", mode + "[route"))
        served.hears("reloaded")
    over.set()
    connecting.join()

    assert tries[0] > 5
    assert failures == []
