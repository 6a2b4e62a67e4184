"""`pylos serve`: a supervisor in the foreground."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylos.config import Config, Loaded
from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.api import answer_forwarded
from pylos.supervisor.control import ControlSocket, open_if_possible
from pylos.supervisor.ground import Ground
from pylos.supervisor.inheritance import Inherited, Succession, take
from pylos.supervisor.limits import raise_descriptor_limit
from pylos.supervisor.rendezvous import Rendezvous, adopt
from pylos.supervisor.run import Ready, Supervisor
from pylos.supervisor.runtime import DEFAULT_NAME
from pylos.supervisor.source import Source


def serve(source: Path | str | Config | Loaded, ready_fd: int | None = None, name: str | None = DEFAULT_NAME) -> int:
    """Serve a configuration until SIGTERM or SIGINT; gives the exit code.

    `name` is the gateway's, by which commands find it; None for none, and then none does.

    A file is watched, and read again on SIGHUP. What is wrong with the configuration at the start is written to
    standard error, and the code is 1. When the first configuration is in use, one JSON line is written to `ready_fd`,
    {"pid", "gateway", "listen": {listener: [address, ...]}}, and the descriptor is closed.
    """
    inherited = take()

    def tell(ready: Ready) -> None:
        if ready_fd is not None and inherited is None:  # who asked was told by the program that this one was
            with suppress(OSError), os.fdopen(ready_fd, "w") as pipe:  # who asked may be gone by now
                pipe.write(json.dumps(ready) + "\n")

    ground = Ground.of_program(name, inherited.ground if inherited is not None else None)
    return supervise(source, tell, name, inherited, ground)


def supervise(
    source: Path | str | Config | Loaded,
    on_ready: Callable[[Ready], None],
    name: str | None = None,
    inherited: Inherited | None = None,
    ground: Ground | None = None,
) -> int:
    """Run a supervisor to its end; gives the exit code."""
    raise_descriptor_limit()
    source = Path(source) if isinstance(source, str) else source
    try:
        asyncio.run(controlled(source, on_ready, name, inherited, ground or Ground()))
    except PylosError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def controlled(
    source: Source,
    on_ready: Callable[[Ready], None],
    name: str | None,
    inherited: Inherited | None,
    ground: Ground,
) -> None:
    """Run a supervisor, and answer the commands that find it by its name, and requests of admin listeners."""
    known = inherited.control if inherited is not None else None
    control = ControlSocket.inherit(known) if known is not None else open_if_possible(name)
    if control is None:
        succession = Succession(None, inherited, None)
        supervisor = Supervisor(source, on_ready=on_ready, succession=succession, ground=ground)
        return await run_beside(supervisor, answer_forwarded(supervisor))
    ground.on_account = control.give_to
    try:
        inherited, rendezvous = meeting(control, inherited)
        succession = Succession(control.estate, inherited, rendezvous)
        supervisor = Supervisor(source, on_ready=on_ready, succession=succession, ground=ground)
        try:
            await run_beside(supervisor, control.serve(supervisor), answer_forwarded(supervisor))
        finally:
            if rendezvous is not None:
                # A gateway process that was found, and not taken over in the end, is to be found again.
                rendezvous.close(keep=inherited is not None and not supervisor.took_over)
    finally:
        control.close()


async def run_beside(supervisor: Supervisor, *work: Coroutine[Any, Any, None]) -> None:
    """Run a supervisor to its end, with some work beside it."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await supervisor.run()
    finally:
        for task in tasks:
            task.cancel()


def meeting(control: ControlSocket, inherited: Inherited | None) -> tuple[Inherited | None, Rendezvous | None]:
    """Give what is left to this supervisor, by the program that it was or by one that was lost, and a rendezvous.

    Raises GatewayError when there is a gateway process that cannot be taken over.
    """
    if inherited is not None:
        known = inherited.rendezvous
        return inherited, None if known is None else Rendezvous.inherit(known)
    found = adopt(control.path)
    if found is not None:
        return found
    try:
        return None, Rendezvous.open(control.path)
    except OSError as error:
        log.warning("no_rendezvous", f"without this supervisor the gateway will end: {error}")
        return None, None
