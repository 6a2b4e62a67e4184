"""The gateway under test: `pylos serve` as a user runs it, in a folder of its own, and how it is reached."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylos import supervisor
from pylos.errors import PylosError
from soak.document import POLICIES, Document
from soak.messages import read_body, read_head

HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds for what takes as long as it takes on a busy machine."""


class Served:
    """A running gateway. Its access log, its events and its configuration lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "pylos.toml"
        self.events = folder / "events.log"
        self.name = f"soak-{os.getpid()}"
        self.supervisor: Process | None = None
        self._listen: dict[str, list[str]] = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Put another configuration in the place of the one before, as editors do."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    async def start(self, document: Document) -> None:
        """Start it; it serves when this returns."""
        (self.folder / "soak_policies.py").write_text(POLICIES)
        self.write(document.text())
        os.environ["XDG_RUNTIME_DIR"] = str(self.folder)
        os.environ["STATE_DIRECTORY"] = str(self.folder / "state")
        await self.start_supervisor()

    async def start_supervisor(self) -> dict[str, Any]:
        """Start a supervisor on the file as it is; gives what it says when it serves."""
        read, write = os.pipe()
        command = [
            sys.executable,
            "-m",
            "pylos",
            "serve",
            "-c",
            str(self.file),
            "-n",
            self.name,
            "--ready-fd",
            str(write),
        ]
        with self.events.open("ab") as events:
            self.supervisor = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, pass_fds=[write], stdin=DEVNULL, stdout=DEVNULL, stderr=events
            )
        os.close(write)
        with os.fdopen(read) as pipe:
            line = await asyncio.wait_for(asyncio.to_thread(pipe.read), PATIENCE)
        if not line:
            raise RuntimeError(f"the gateway did not start:\n{self.events.read_text()[-4000:]}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    async def stop(self) -> int:
        """Drain it, and give its exit code."""
        process = self.process
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), PATIENCE * 2)

    async def kill(self) -> None:
        """End what is left, at once."""
        if self.supervisor is not None and self.supervisor.returncode is None:
            self.supervisor.kill()
            await self.supervisor.wait()

    @property
    def process(self) -> Process:
        """The supervisor's process."""
        if self.supervisor is None:
            raise RuntimeError("the gateway has not been started")
        return self.supervisor

    # -- questions ----------------------------------------------------------------------------------------------------

    async def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Ask the supervisor, as commands do. Raises PylosError."""

        def asked() -> dict[str, Any]:
            line = supervisor.connect(self.name)
            try:
                return line.ask(question)
            finally:
                line.close()

        return await asyncio.to_thread(asked)

    async def gateway_pid(self, other_than: int = 0) -> int:
        """Wait until a gateway process serves that is not `other_than`, and give its pid."""
        answer = await self.ask({"type": "process", "other_than": other_than})
        return int(answer["gateway"])

    async def status(self) -> dict[str, Any]:
        """Ask the gateway process how it is doing; {} between two of them."""
        with suppress(PylosError):
            status: dict[str, Any] = (await self.ask({"type": "status"}))["status"]
            return status
        return {}


async def page(port: int, path: str) -> tuple[int, str]:
    """GET from a port of the gateway over a connection of its own: the status and the text."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n".encode())
        head = await asyncio.wait_for(read_head(reader), PATIENCE)
        return head.status, (await asyncio.wait_for(read_body(reader, head), PATIENCE)).decode()
    finally:
        writer.close()


async def metrics(port: int) -> dict[str, float]:
    """Read the metrics; by their series."""
    _, text = await page(port, "/metrics")
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


async def until(holds: Callable[[], Awaitable[bool] | bool], seconds: float, what: str) -> None:
    """Wait for what gives no signal of its own. Raises TimeoutError that names it."""
    try:
        async with asyncio.timeout(seconds):
            while not (await held if isinstance(held := holds(), Awaitable) else held):  # noqa: ASYNC110 - as said
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not within {seconds:g} s: {what}") from None
