"""As PID 1: signals come once, orphans are reaped, the exit code is the supervisor's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from system.rig import until
from system.serving import Serve, Serving

OF_ITS_OWN = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Starts a program as PID 1 of a name space of processes."""


def can_unshare() -> bool:
    try:
        return subprocess.run([*OF_ITS_OWN, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs the right to make a name space of processes")


def first(served: Serving) -> int:
    """The process that is PID 1 inside, by its number out here."""
    [pid] = children(served.process.pid)
    return pid


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def started(serve: Serve, file: Path) -> Serving:
    served = serve(file, before=[*OF_ITS_OWN, sys.executable])
    assert served.ready["pid"] == 2, "the supervisor is the first process's child"
    return served


def test_it_serves_and_a_signal_drains_it(serve: Serve, file: Path):
    served = started(serve, file)
    assert served.get() == 200
    os.kill(first(served), signal.SIGTERM)

    assert served.hears("shutdown")["reason"] == "SIGTERM"
    assert served.process.wait(20) == 0
    assert "hurry" not in "".join(served.lines()), "the signal came once"


def test_ctrl_c_at_its_terminal_comes_once(serve: Serve, file: Path):
    """A terminal signals the whole group of processes in its foreground."""
    served = started(serve, file)
    supervisor = min(children(first(served)))

    assert os.getpgid(supervisor) != os.getpgid(first(served))


def test_other_signals_are_handed_on(serve: Serve, file: Path):
    served = started(serve, file)
    os.kill(first(served), signal.SIGHUP)

    assert "SIGHUP" in served.hears("unchanged")["message"]


def test_an_upgrade_goes_on_below_it(serve: Serve, file: Path):
    served = started(serve, file)
    os.kill(first(served), signal.SIGUSR2)
    served.hears("upgraded")
    assert served.get() == 200
    assert len(children(first(served))) == 1
    os.kill(first(served), signal.SIGTERM)

    assert served.process.wait(20) == 0


def test_orphans_are_reaped_and_no_exit_code_is_stolen(serve: Serve, file: Path):
    served = started(serve, file)
    init = first(served)
    [supervisor] = children(init)
    [gateway] = children(supervisor)
    for _ in range(3):
        inside = ["nsenter", f"--target={init}", "--pid", "sh", "-c", "(sleep 0 & echo $!) | cat; (sh -c 'exit 3' &)"]
        subprocess.run(inside, check=True, capture_output=True)
    os.kill(gateway, signal.SIGKILL)

    assert "was ended by SIGKILL" in served.hears("gateway_lost")["message"]
    served.hears("gateway_replaced")
    assert served.get() == 200
    until(lambda: children(init) == [supervisor])


def test_what_is_wrong_at_the_start_is_its_exit_code(serve: Serve, file: Path):
    file.write_text("[listen")
    served = serve(file, before=[*OF_ITS_OWN, sys.executable])

    assert "P101" in served.failure()


def test_a_supervisor_that_is_killed_ends_the_container(serve: Serve, file: Path):
    served = started(serve, file)
    [supervisor] = children(first(served))
    os.kill(supervisor, signal.SIGKILL)

    assert served.process.wait(20) == 128 + signal.SIGKILL


def test_elsewhere_no_process_is_put_in_front(serve: Serve, file: Path):
    served = serve(file)

    assert served.ready["pid"] == served.process.pid
