"""Sockets that a service manager has opened for us (sd_listen_fds(3)): a `bind` that means one of them takes it.

They stay open here to the end: the manager keeps them too, so connections wait in them while nobody serves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Any

FIRST = 3
"""The number of the first descriptor."""


class Passed:
    """The sockets that were passed, each with its name."""

    def __init__(self, sockets: list[tuple[str, socket.socket]] | None = None) -> None:
        self._sockets = sockets or []
        self._taken: set[int] = set()
        self._strange: list[str] = []

    @classmethod
    def of_environment(cls, environ: MutableMapping[str, str], pid: int) -> Passed:
        """Take over what was passed to the process `pid`; what is started from here on is told nothing of it."""
        words = {key: environ.pop(key, "") for key in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
        if words["LISTEN_PID"] != str(pid) or not words["LISTEN_FDS"].isdecimal():
            return cls()
        names = words["LISTEN_FDNAMES"].split(":")
        names += ["unknown"] * (int(words["LISTEN_FDS"]) - len(names))
        passed = cls()
        for descriptor, name in enumerate(names[: int(words["LISTEN_FDS"])], FIRST):
            try:
                os.set_inheritable(descriptor, False)  # noqa: FBT003 - the only way to say it
                passed._sockets.append((name, socket.socket(fileno=descriptor)))
            except OSError:  # a pipe or a file, for another kind of program
                passed._strange.append(f"{name} (descriptor {descriptor}, no socket)")
        return passed

    @property
    def estate(self) -> list[tuple[str, int]]:
        """What a program has to know that this one becomes: names and descriptors."""
        return [(name, passed.fileno()) for name, passed in self._sockets]

    @classmethod
    def inherit(cls, told: list[tuple[str, int]]) -> Passed:
        """Go on with what `estate` of another program gave. Nothing of it counts as unused: that has been told."""
        passed = cls([(name, socket.socket(fileno=descriptor)) for name, descriptor in told])
        passed._taken.update(descriptor for _, descriptor in told)
        return passed

    def take(self, family: int, address: Any) -> socket.socket | None:  # noqa: ANN401 - as the family wants it
        """Give a copy of the socket that listens at an address; None where none was passed."""
        for _, passed in self._sockets:
            if passed.family == family and is_listening(passed) and same(passed.getsockname(), address):
                self._taken.add(passed.fileno())
                copy = passed.dup()
                copy.settimeout(0)
                return copy
        return None

    @property
    def unused(self) -> list[str]:
        """Those that no `bind` has asked for, each with what it is."""
        return self._strange + [
            f"{name} ({described(passed)})" for name, passed in self._sockets if passed.fileno() not in self._taken
        ]

    def close(self) -> None:
        """Let go of them."""
        for _, passed in self._sockets:
            passed.close()
        self._sockets.clear()


def is_listening(passed: socket.socket) -> bool:
    """Whether connections can be accepted from it."""
    return passed.type == socket.SOCK_STREAM and bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def same(name: Any, address: Any) -> bool:  # noqa: ANN401 - as the family wants it
    """Whether a socket's own address is the one to bind: a path, or host and port."""
    if isinstance(address, str):
        return isinstance(name, str) and os.path.abspath(name) == os.path.abspath(address)  # noqa: PTH100 - keeps links
    return bool(name[:2] == address[:2])


def described(passed: socket.socket) -> str:
    """Say what was passed."""
    name = passed.getsockname()
    kind = "" if is_listening(passed) else ", not listening for streams"
    if not isinstance(name, tuple):
        return f"unix:{name}{kind}"
    host = f"[{name[0]}]" if passed.family == socket.AF_INET6 else name[0]
    return f"{host}:{name[1]}{kind}"
