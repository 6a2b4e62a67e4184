"""A process that was started by someone else, told and waited for by its descriptor."""

import asyncio
import signal
import subprocess
import sys

import pytest

from pylos.supervisor.adopted import AdoptedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of processes are Linux's")


async def _killed(pid: int) -> int:
    process = AdoptedProcess(pid)
    process.send_signal(signal.SIGKILL)
    code = await process.wait()
    with pytest.raises(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    return code


def test_a_process_that_has_ended_gets_no_signal() -> None:
    """By then its descriptor may be that of another process."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        assert asyncio.run(_killed(child.pid)) == -signal.SIGKILL
    finally:
        child.wait(10)
