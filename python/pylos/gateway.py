"""A gateway started from Python: `with pylos.Gateway(config) as gateway: ...`, or the same with `async with`."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, Unpack

from pylos.config import Config, Loaded, load_text
from pylos.config.explain import Beside, Explanation
from pylos.config.program import is_module
from pylos.errors import GatewayError
from pylos.supervisor.line import Line
from pylos.supervisor.live import live_asker

SUPERVISOR = [sys.executable, "-P", "-m", "pylos.supervisor"]

Source = Config | Loaded | Path | str
"""A document made in Python or loaded before, the path of a file, or "module:name"."""

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
        self._secure: list[str] = []

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
            process = self._process = _supervisor(theirs.fileno(), *self._output)
        self._line = Line(ours, lambda: f"the supervisor has ended, exit code {process.wait()}")
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
        """Give a URL that reaches the listener from this machine, without a path: "http://127.0.0.1:40123".

        With TLS it is https, with the address and not a name: no certificate that one is likely to have is for that.
        """
        address = self.address(listener)
        if address.startswith("unix:"):
            raise ValueError(f"{address} has no URL")
        host, _, port = address.rpartition(":")
        secure = any(address in self._listen[name] for name in self._secure)
        return f"{'https' if secure else 'http'}://{LOOPBACK.get(host, host)}:{port}"

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
        """Ask the gateway process: generation, connections, requests, workers, upstreams with their targets' state.

        `drift` is None, or says why the configuration in use is not that of the file.
        """
        answer = self._ask({"type": "status"})
        return {**answer["status"], "drift": answer["running"]["drift"]}

    def explain(self, method: str, url: str, **beside: Unpack[Beside]) -> Explanation:
        """Tell where a request would go now, and why, without sending it; the arguments are those of `Asker.ask`.

        They are `headers`, `peer`, `listener`, `as_` and `nearest`. The answer names the health of the targets too.
        Raises PylosError for a request that makes no sense.
        """
        told = live_asker(self._ask).ask(method, url, **beside)
        return told.with_health(self.status()["upstreams"])

    def forget(self, policy: str | None = None) -> list[str]:
        """Forget what is remembered of the decisions of a policy in Python, or of all; gives the policies' names."""
        policies: list[str] = self._line.ask({"type": "forget", "policy": policy})["policies"]
        return policies

    def reload(self, config: Source | None = None) -> None:
        """Put another configuration into use, or read the same file again; it is in use when this returns.

        What did not change keeps its sockets, connections and health; a document that says the same is not applied.
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
        self._listen, self._admin, self._secure = ready["listen"], ready["admin"], ready["secure"]


LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - how a wildcard address is reached


def _spelled(config: Source) -> dict[str, object]:
    """Write a source as the supervisor takes it: a file by its path, all else as the checked table."""
    if isinstance(config, Config):
        config = config.loaded
    if isinstance(config, Loaded):
        folder = str(config.folder.absolute())
        beside = {"tests": config.tests, "secrets": config.secrets, "acme": config.acme}
        return {"table": config.table, **beside, "folder": folder}
    return {"path": str(config) if is_module(str(config)) else str(Path(config).absolute())}


def _supervisor(control_fd: int, stdout: Output, stderr: Output) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [*SUPERVISOR, str(control_fd)],
        pass_fds=[control_fd],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # a Ctrl-C is for this program, which then ends the gateway in its own way
    )
