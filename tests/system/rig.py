"""What the system tests are set up with: a gateway in front of targets in one line, and the assertions of a refusal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from pylos import Gateway
from pylos.testing import GatewayUnderTest, RawClient, Response, ScriptedUpstream

CONFIG = """
[pylos]
version = 1
{pylos}

[listen.http]
bind = "127.0.0.1:0"
{listen}

[upstream.app]
targets = [{targets}]
{upstream}

[route.all]
{route}
to = "app"

{more}
"""
NEXT = b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"


def configuration(
    *targets: str | ScriptedUpstream,
    pylos: str = "access_log = false",
    listen: str = "",
    upstream: str = "health = false",
    route: str = 'match = "/{rest:path}"',
    more: str = "",
) -> str:
    """A document whose only route leads to these targets; each keyword adds lines to the table of that name."""
    urls = [target if isinstance(target, str) else target.url for target in targets]
    spelled = ", ".join(f'"{url}"' for url in urls)
    return CONFIG.format(targets=spelled, pylos=pylos, listen=listen, upstream=upstream, route=route, more=more)


class Front(Protocol):
    """Start a gateway with `configuration` of these arguments."""

    def __call__(
        self,
        *targets: str | ScriptedUpstream,
        pylos: str = "access_log = false",
        listen: str = "",
        upstream: str = "health = false",
        route: str = 'match = "/{rest:path}"',
        more: str = "",
    ) -> GatewayUnderTest:
        """Start it; it serves when this returns."""
        ...


class Served(NamedTuple):
    """A running gateway and the upstream behind it."""

    gateway: Gateway
    app: ScriptedUpstream


class Refusal(Protocol):
    """Send bytes that must be refused, and a sound request behind them.

    Holds when the status is right, the upstream saw no request, the gateway closed, and what came after was not
    answered. Gives the answer. `begun`: the fault lies in the body, so the upstream may have seen half of the request.
    """

    def __call__(
        self,
        served: Served,
        data: bytes,
        *,
        statuses: frozenset[int] = frozenset({400}),
        trickle: bool = False,
        begun: bool = False,
    ) -> Response:
        """Send, and check all of it."""
        ...


class ResidentMemory:
    """Watches a process's resident memory for the length of a block.

    `start` at its beginning, `peak` at its highest, both in bytes.
    """

    def __init__(self, pid: int) -> None:
        self.start = self.peak = resident(pid)
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def growth(self) -> int:
        """How far it rose above its beginning."""
        return self.peak - self.start

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, resident(self._pid))


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) << 10


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what gives no signal of its own; TimeoutError when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)


def connects(address: str) -> bool:
    """Whether a connection is taken, or refused."""
    try:
        RawClient(address).close()
    except ConnectionRefusedError:
        return False
    return True
