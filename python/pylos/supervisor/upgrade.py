"""Before an upgrade, the program as it is on disk now has to start, and to take the configuration."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pylos.errors import GatewayError, PylosError
from pylos.supervisor.events import Event, Upgradable, Upgrade
from pylos.supervisor.source import Checked, Source, read_aside

CALM_SECONDS = 0.05
"""After so long another look is taken whether there is something else to do."""
CHECK_SECONDS = 45.0
"""How long the new program may take to check the configuration."""


async def check_aside(wanted: Upgrade, source: Source, put: Callable[[Event], None], *, becomes: bool) -> None:
    """Read the source; or have the program read it that this one is to become. Puts what came of it."""
    found: Checked | PylosError | None = None
    try:
        if isinstance(source, Path) and becomes:
            await check_program(source)
        else:
            found = await read_aside(source)
    except PylosError as error:
        found = error
    except Exception as error:  # noqa: BLE001 - a defect of what is on disk now must not end what serves
        found = GatewayError(f"the upgrade cannot be checked: {error!r}")
    put(Upgradable(wanted, found))


async def check_program(config: Path) -> None:
    """Have the program as it is on disk now check the configuration. Raises GatewayError when it cannot, or refuses."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "pylos", "check", "-c", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise GatewayError(f"cannot start the new program: {error}") from error
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise GatewayError(f"the new program has not checked {config} within {CHECK_SECONDS:g} s") from None
    finally:
        if process.returncode is None:  # late, or nobody waits any more
            with suppress(ProcessLookupError):
                process.kill()
    if process.returncode:
        told = output.decode(errors="replace").rstrip()
        raise GatewayError(f"the new program does not start, or does not take {config}:\n{told}")
