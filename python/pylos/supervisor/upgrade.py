"""An upgrade: the supervisor becomes the program as it is on disk now, and a new gateway process takes over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

from pylos.errors import GatewayError
from pylos.supervisor import log
from pylos.supervisor.adopted import AdoptedProcess
from pylos.supervisor.process import GatewayLostError, GatewayProcess

CHECK_SECONDS = 45.0
"""How long the new program may take to check the configuration."""
GRACE_SECONDS = 5.0
"""Seconds that a gateway process has, after its drain's deadline, to end by itself."""
LANE_GRACE_SECONDS = 15.0
"""Likewise a lane of it."""


async def check_program(config: Path) -> None:
    """Have the program as it is on disk now check the configuration. Raises GatewayError when it cannot, or refuses."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pylos", "check", "-c", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise GatewayError(f"the new program has not checked {config} within {CHECK_SECONDS:g} s") from None
    if process.returncode:
        told = output.decode(errors="replace").rstrip()
        raise GatewayError(f"the new program does not start, or does not take {config}:\n{told}")


async def let_go(process: GatewayProcess, seconds: float) -> None:
    """Have a gateway process finish what it has, so long at most."""
    with suppress(GatewayLostError):
        await process.drain(seconds)
    await asyncio.wait([process.ended], timeout=seconds + GRACE_SECONDS)
    await process.stop()
    log.info("gateway_drained", f"gateway process {process.pid}, which was replaced, has ended", gateway=process.pid)


async def see_off(lanes: Iterable[int], seconds: float) -> None:
    """Wait for the end of lanes that belong to a gateway process that drains; those that stay are killed."""

    async def one(pid: int) -> None:
        with suppress(ProcessLookupError):
            lane = AdoptedProcess(pid)
            waiting = asyncio.ensure_future(lane.wait())
            if not (await asyncio.wait([waiting], timeout=seconds + LANE_GRACE_SECONDS))[0]:
                os.kill(pid, SIGKILL)
            await waiting

    await asyncio.gather(*map(one, lanes))
