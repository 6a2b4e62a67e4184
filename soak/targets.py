"""The servers behind the gateway, each a process of its own, so that it can be killed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process


class TargetProcess:
    """A server: `soak.target` in a process. It keeps its port when it is started again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it; it listens when this returns."""
        command = [sys.executable, "-m", "soak.target", self.name, str(self.port)]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        self.port = int(await self._line())

    async def order(self, mode: str) -> None:
        """Let it behave otherwise from now on; see `soak.target`."""
        process = self._running
        if process.stdin is not None:
            process.stdin.write(f"{mode}\n".encode())
        await self._line()

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @property
    def url(self) -> str:
        """As a target of the configuration."""
        return f"http://127.0.0.1:{self.port}"

    async def _line(self) -> bytes:
        stdout = self._running.stdout
        line = await stdout.readline() if stdout is not None else b""
        if not line:
            raise EOFError(f"target {self.name} has ended")
        return line

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError(f"target {self.name} has not been started")
        return self._process
