"""A gateway started from Python: `with pylos.Gateway(config) as gateway: ...`, or the same with `async with`."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pylos.config import Config, Loaded, load_text
from pylos.errors import BindError, ConfigError, GatewayError, Place, Problem, PylosError

SUPERVISOR = [sys.executable, "-P", "-m", "pylos.supervisor"]
ANSWER_SECONDS = 60.0
LENGTH = struct.Struct(">I")

Source = Config | Loaded | Path | str
"""A document made in Python or loaded before, or the path of a file."""

Output = int | IO[Any] | None
"""As for subprocess: a descriptor, an open file, subprocess.DEVNULL, or None = that of this process."""


class Gateway:
    """A running gateway: a supervisor and its gateway process, both of their own, no traffic goes through this program.

        with pylos.Gateway(config) as gateway:
            httpx.get(gateway.url("http"))

    `config` is a `Config` or the path of a file; `from_toml` takes TOML text. Starting raises ConfigError, BindError or
    GatewayError. A file is watched and reloaded as by `pylos serve`. Leaving the block drains: requests in flight are
    finished; after an exception it ends at once. When this program dies, the gateway drains and ends too.

    Logs go to `stderr`; an access log with the path "-" goes to `stdout`.
    """

    def __init__(self, config: Source, *, stdout: Output = None, stderr: Output = None) -> None:
        self._source: Mapping[str, object] = _spelled(config)
        self._output = (stdout, stderr)
        self._process: subprocess.Popen[bytes] | None = None
        self._listen: dict[str, list[str]] = {}
        self._admin: list[str] = []

    @classmethod
    def from_toml(cls, text: str, *, stdout: Output = None, stderr: Output = None) -> Self:
        """Take a configuration written as TOML text; raises ConfigError."""
        return cls(load_text(text, "<text>"), stdout=stdout, stderr=stderr)

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it; it serves when this returns."""
        if self._process is not None:
            raise GatewayError("this gateway has been started before")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _supervisor(theirs.fileno(), *self._output)
        self._line = _Line(ours, self._process)
        try:
            self._take(self._line.ask({"type": "serve", **self._source}))
        except BaseException:
            self.stop(drain=False)
            raise
        return self

    def stop(self, *, drain: bool = True) -> int:
        """End it and give the exit code. With `drain`, requests in flight are finished first."""
        if self._process is None:
            return 0
        if drain:
            self.signal(signal.SIGTERM)
        else:
            self._line.tell({"type": "stop"})
        code = self._process.wait()
        self._line.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(drain=error is None)

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop, drain=error is None)

    # -- where it is --------------------------------------------------------------------------------------------------

    @property
    def listen(self) -> dict[str, list[str]]:
        """The real addresses of each listener, "127.0.0.1:40123", "[::1]:40123" or "unix:/path"."""
        return {name: list(addresses) for name, addresses in self._listen.items()}

    def addresses(self, listener: str | None = None) -> list[str]:
        """Give the real addresses of a listener; without a name, of the first that serves traffic."""
        if listener is None:
            listener = next((name for name in self._listen if name not in self._admin), next(iter(self._listen), ""))
        if listener not in self._listen:
            raise KeyError(f"no listener {listener!r}, only {sorted(self._listen)}")
        return list(self._listen[listener])

    def address(self, listener: str | None = None) -> str:
        """Give the first address of a listener."""
        return self.addresses(listener)[0]

    def url(self, listener: str | None = None) -> str:
        """Give a URL that reaches the listener from this machine, without a path: "http://127.0.0.1:40123"."""
        address = self.address(listener)
        if address.startswith("unix:"):
            raise ValueError(f"{address} has no URL")
        host, _, port = address.rpartition(":")
        return f"http://{LOOPBACK.get(host, host)}:{port}"

    # -- what runs ----------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        return self._running.pid

    @property
    def gateway_pid(self) -> int:
        """The gateway process that serves now. Another one after a crash."""
        return self.wait_for_process(other_than=0)

    def wait_for_process(self, other_than: int) -> int:
        """Wait until a gateway process serves that is not `other_than`, and give its pid."""
        pid: int = self._ask({"type": "process", "other_than": other_than})["gateway"]
        return pid

    def status(self) -> dict[str, Any]:
        """Ask the gateway process: generation, connections, requests, workers, upstreams with their targets' state."""
        status: dict[str, Any] = self._ask({"type": "status"})["status"]
        return status

    def reload(self, config: Source | None = None) -> None:
        """Put another configuration into use, or read the same file again; it is in use when this returns.

        Raises ConfigError, BindError or GatewayError; then the one before stays in use whole.
        """
        source = self._source if config is None else _spelled(config)
        self._take(self._ask({"type": "reload", **source}))
        self._source = source

    def reload_toml(self, text: str) -> None:
        """Put a configuration written as TOML text into use, as `reload` does."""
        self.reload(load_text(text, "<text>"))

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal: SIGHUP reads the file again, SIGTERM drains."""
        self._running.send_signal(number)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and give the exit code; subprocess.TimeoutExpired after `timeout` seconds."""
        return self._running.wait(timeout)

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise GatewayError("this gateway has not been started")
        return self._process

    def _ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        if self._process is None:
            raise GatewayError("this gateway has not been started")
        return self._line.ask(question)

    def _take(self, ready: dict[str, Any]) -> None:
        self._listen, self._admin = ready["listen"], ready["admin"]


LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - how a wildcard address is reached


def _spelled(config: Source) -> dict[str, object]:
    """Write a source as the supervisor takes it: a file by its path, all else as the checked table."""
    if isinstance(config, Config):
        config = config.loaded
    return {"table": config.table} if isinstance(config, Loaded) else {"path": str(Path(config).absolute())}


def _supervisor(control_fd: int, stdout: Output, stderr: Output) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [*SUPERVISOR, str(control_fd)],
        pass_fds=[control_fd],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # a Ctrl-C is for this program, which then ends the gateway in its own way
    )


class _Line:
    """The owner's end of the supervisor's line: one question at a time, each with its answer."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        sock.settimeout(ANSWER_SECONDS)
        self._socket = sock
        self._process = process
        self._numbers = itertools.count(1)
        self._asking = threading.Lock()

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Send a question and wait for its answer; raises the error that the answer tells."""
        with self._asking:
            number = next(self._numbers)
            try:
                self._send({**question, "id": number})
                answer = self._receive()
                while answer["id"] != number:  # the answer to a question that was given up
                    answer = self._receive()
            except TimeoutError:
                raise GatewayError(f"the supervisor gave no answer within {ANSWER_SECONDS:g} s") from None
            except (OSError, EOFError):
                raise GatewayError(f"the supervisor has ended, exit code {self._process.wait()}") from None
        if answer["type"] == "failed":
            raise _error(answer)
        return answer

    def tell(self, order: Mapping[str, object]) -> None:
        """Send what has no answer; a supervisor that has ended needs no orders."""
        with self._asking:
            try:
                self._send({**order, "id": next(self._numbers)})
            except OSError:
                return

    def close(self) -> None:
        """Hang up: the supervisor drains and ends."""
        self._socket.close()

    def _send(self, message: Mapping[str, object]) -> None:
        body = json.dumps(message).encode()
        self._socket.sendall(LENGTH.pack(len(body)) + body)

    def _receive(self) -> dict[str, Any]:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        message: dict[str, Any] = json.loads(self._exactly(length))
        return message

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


def _error(answer: dict[str, Any]) -> PylosError:
    if answer["error"] == "config":
        return ConfigError(_problem(problem) for problem in answer["problems"])
    return (BindError if answer["error"] == "bind" else GatewayError)(answer["text"])


def _problem(fields: dict[str, Any]) -> Problem:
    return Problem(**{**fields, "path": tuple(fields["path"]), "place": Place(**fields["place"])})
