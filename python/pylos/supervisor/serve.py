"""`pylos serve`: a supervisor in the foreground."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pylos.config import Config, Loaded
from pylos.errors import PylosError
from pylos.supervisor.control import open_if_possible
from pylos.supervisor.limits import raise_descriptor_limit
from pylos.supervisor.run import Ready, Supervisor
from pylos.supervisor.runtime import DEFAULT_NAME


def serve(source: Path | str | Config | Loaded, ready_fd: int | None = None, name: str | None = DEFAULT_NAME) -> int:
    """Serve a configuration until SIGTERM or SIGINT; gives the exit code.

    `name` is the gateway's, by which commands find it; None for none, and then none does.

    A file is watched, and read again on SIGHUP. What is wrong with the configuration at the start is written to
    standard error, and the code is 1. When the first configuration is in use, one JSON line is written to `ready_fd`,
    {"pid", "gateway", "listen": {listener: [address, ...]}}, and the descriptor is closed.
    """

    def tell(ready: Ready) -> None:
        if ready_fd is not None:
            with suppress(OSError), os.fdopen(ready_fd, "w") as pipe:  # who asked may be gone by now
                pipe.write(json.dumps(ready) + "\n")

    return supervise(source, tell, name)


def supervise(source: Path | str | Config | Loaded, on_ready: Callable[[Ready], None], name: str | None = None) -> int:
    """Run a supervisor to its end; gives the exit code."""
    raise_descriptor_limit()
    supervisor = Supervisor(Path(source) if isinstance(source, str) else source, on_ready=on_ready)
    try:
        asyncio.run(controlled(supervisor, name))
    except PylosError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def controlled(supervisor: Supervisor, name: str | None) -> None:
    """Run a supervisor, and answer the commands that find it by its name."""
    control = open_if_possible(name)
    if control is None:
        return await supervisor.run()
    answering = asyncio.create_task(control.serve(supervisor))
    try:
        await supervisor.run()
    finally:
        answering.cancel()
        control.close()
