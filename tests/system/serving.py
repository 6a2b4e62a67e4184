"""`pylos serve` as a program of its own, started in odd ways: by a service manager, as PID 1, as another user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pylos.testing import RawClient

PLAIN = """\
[pylos]
access_log = false
{more}
[listen.http]
bind = "{bind}"
[route.all]
match = "/{{rest:path}}"
respond = {{ text = "hello" }}
"""


def configuration(more: str = "", bind: str = "127.0.0.1:0") -> str:
    """One listener that says hello; `more` are lines of [pylos]."""
    return PLAIN.format(more=more, bind=bind)


class Serving:
    """A running `pylos serve`; what it says on standard error comes line by line."""

    def __init__(
        self,
        file: Path,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        before: Sequence[str] = (sys.executable,),
        pass_fds: Sequence[int] = (),
    ) -> None:
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [*before, "-m", "pylos", "serve", "-c", str(file), "--ready-fd", str(write), *options],
            env={**os.environ, **(environ or {})},
            pass_fds=[write, *pass_fds],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            line = pipe.readline()  # and not to its end: what stands in front of the program may keep it open
        self.ready: dict[str, Any] = json.loads(line) if line else {}
        """Empty where it did not come so far."""
        self.told: list[dict[str, Any]] = []
        """What it has said so far."""

    @property
    def address(self) -> str:
        return str(self.ready["listen"]["http"][0])

    def get(self, address: str | None = None) -> int:
        with RawClient(address or self.address) as client:
            return client.get("/").status

    def hears(self, event: str) -> dict[str, Any]:
        """Wait until an event is told; gives its line."""
        for line in self.lines():
            self.told.append(json.loads(line))
            if self.told[-1]["event"] == event:
                return self.told[-1]
        raise AssertionError(f"ended without {event}: {self.told}")

    def events(self) -> list[str]:
        """End it, and give the names of all events."""
        self.signal(signal.SIGTERM)
        self.told += [json.loads(line) for line in self.lines()]
        return [one["event"] for one in self.told]

    def failure(self) -> str:
        """Give what one that cannot start says, once it has ended with the code 1."""
        words = "".join(self.lines())
        assert self.process.wait(20) == 1, words
        return words

    def lines(self) -> Iterator[str]:
        assert self.process.stderr is not None
        yield from (line.decode() for line in self.process.stderr)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        """End it, and a gateway process that would serve on without it.

        It may be in the middle of an upgrade: what it starts then is not known here, so it is to drain by itself.
        """
        if self.ready.get("pid") == self.process.pid:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        self.process.kill()
        self.process.wait()
        if self.ready.get("pid") == self.process.pid:  # else its numbers are those of another name space
            for pid in {self.ready["gateway"], *(one.get("gateway", 0) for one in self.told)}:
                with suppress(OSError):
                    if b"pylos._core" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(pid, signal.SIGKILL)
        assert self.process.stderr is not None
        self.process.stderr.close()


Serve = Callable[..., Serving]


@contextmanager
def servings() -> Iterator[Serve]:
    """Give what starts programs, and end them all."""
    with ExitStack() as stack:

        def start(*arguments: Any, **named: Any) -> Serving:  # noqa: ANN401 - those of Serving
            started = Serving(*arguments, **named)
            stack.callback(started.end)
            return started

        yield start
