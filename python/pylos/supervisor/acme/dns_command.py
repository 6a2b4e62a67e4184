"""Records by a program of the user's, or a Python function in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from pathlib import Path

from pylos.errors import printable
from pylos.supervisor.acme.errors import AcmeError
from pylos.supervisor.acme.settings import DnsCommand, DnsFunction

LONGEST_OUTPUT = 2000
"""Bytes of its output that an error quotes: the last ones."""
OWN = re.compile(r"NOTIFY_SOCKET|WATCHDOG_\w+|LISTEN_\w+|MAINPID|INVOCATION_ID|JOURNAL_STREAM|PYLOS_INHERITED")
"""Variables that are said to the supervisor alone."""
CALL = ("-P", str(Path(__file__).with_name("dns_call.py")))
"""By its path: its name would import all that is above it. `-P` keeps what lies beside it from being found."""


class Command:
    """Runs it as `... add|remove NAME VALUE`; the exit code 0 means done."""

    def __init__(self, by: DnsCommand | DnsFunction) -> None:
        self._what = by.argv[0] if isinstance(by, DnsCommand) else by.where
        self._argv = by.argv if isinstance(by, DnsCommand) else (sys.executable, *CALL, _folder(by), by.where)
        self._timeout = by.timeout

    async def add(self, name: str, value: str) -> None:
        await self._run("add", name, value)

    async def remove(self, name: str, value: str) -> None:
        await self._run("remove", name, value)

    async def _run(self, *arguments: str) -> None:
        told = f"dns-01: {self._what} {' '.join(arguments)}"
        try:
            # A group of its own, so that it ends as a whole.
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                *arguments,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                start_new_session=True,
                env=environment(),
            )
        except OSError as error:
            raise AcmeError(f"{told}: cannot be run: {error.strerror or error}") from None
        try:
            output = await asyncio.wait_for(_output(process), self._timeout)
        except TimeoutError:
            raise AcmeError(f"{told}: not done in {self._timeout:g} s, and killed") from None
        finally:
            await _end(process)
        if process.returncode:
            text = "\n".join(printable(line) for line in output.decode(errors="replace").strip().splitlines())
            raise AcmeError(f"{told}: ended with {process.returncode}: {text or 'no output'}")


def environment() -> dict[str, str]:
    """Give what both kinds find in their environment: the supervisor's, for credentials come that way; but for its own.

    With the socket of the service manager, say, they could speak for the supervisor.
    """
    return {name: value for name, value in os.environ.items() if not OWN.fullmatch(name)}


def _folder(by: DnsFunction) -> str:
    return str((by.folder or Path.cwd()).absolute())


async def _output(process: Process) -> bytes:
    """Read what it says, to its end, and keep the last of it."""
    kept = b""
    if process.stdout is not None:
        while piece := await process.stdout.read(65536):
            kept = (kept + piece)[-LONGEST_OUTPUT:]
    await process.wait()
    return kept


async def _end(process: Process) -> None:
    """Kill what is left of it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
