"""Children that a program has from the one before it: they are waited for, and one that is kept holds nothing up."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pylos.supervisor.leaving import Leaving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of processes are Linux's")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run(story: Callable[[Leaving], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            leaving = Leaving()
            await story(leaving)
            await leaving.stop()

    asyncio.run(whole())


def child() -> subprocess.Popen[bytes]:
    """One that ends when its standard input does."""
    return subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def let_end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()


@pytest.mark.parametrize("how", ["kept", "seen off"])
def test_nothing_is_left_of_one_that_has_ended(how: str) -> None:
    process = child()

    async def story(leaving: Leaving) -> None:
        descriptors = open_descriptors()
        if how == "kept":
            leaving.keep([process.pid])
        else:
            leaving.see_off([process.pid], 10)
        assert leaving.pids == [process.pid]
        let_end(process)
        while leaving.pids:  # noqa: ASYNC110 - there is no signal for tests
            await asyncio.sleep(0.01)
        with pytest.raises(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
        assert open_descriptors() == descriptors - 1

    run(story)
    process.returncode = 0  # it was waited for


def test_one_that_is_kept_holds_no_end_up() -> None:
    process = child()

    async def story(leaving: Leaving) -> None:
        leaving.keep([process.pid])
        leaving.keep([process.pid])
        await leaving.wait(15)
        assert leaving.pids == [process.pid]
        assert process.poll() is None

    run(story)
    assert process.wait(10) == -9
    let_end(process)
