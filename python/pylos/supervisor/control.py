"""The control socket: what `pylos reload`, `history`, `rollback` and others ask a running gateway.

A Unix socket in a folder that only this user can enter; the messages have the form of `channel`, the questions are
those of `answers`. Who speaks HTTP over it gets the admin API. A lock beside it says that the name is taken, and goes
with the process that has it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pylos.errors import GatewayError
from pylos.supervisor import lock as locks
from pylos.supervisor import log
from pylos.supervisor.account import Account
from pylos.supervisor.answers import Answers
from pylos.supervisor.api import Api, converse_http, is_http, told_at_once
from pylos.supervisor.channel import Channel, framed
from pylos.supervisor.failed import failure
from pylos.supervisor.line import ANY_QUESTION, Line
from pylos.supervisor.run import Supervisor
from pylos.supervisor.runtime import checked_name, folder_to_use, folders, is_trusted, known_names, socket_path

MOST_ASKERS = 32
IDLE_SECONDS = 10.0
"""How long an asker may be silent that waits for no answer."""
CREDENTIALS = struct.Struct("3i")
"""What SO_PEERCRED gives: pid, uid, gid."""


class ControlSocket:
    """The listening end. Made by `open`, before anything is served; ended by `close`."""

    def __init__(self, name: str, path: Path, sock: socket.socket, lock: int) -> None:
        self.name = name
        self.path = path
        self._socket = sock
        self._lock = lock
        self._askers: set[asyncio.Task[None]] = set()

    @classmethod
    def open(cls, name: str) -> ControlSocket:
        """Take the name. Raises GatewayError when another gateway has it, OSError when there is no place for it."""
        path = socket_path(folder_to_use(), checked_name(name))
        lock = locks.opened(path.with_suffix(".lock"))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            take(lock, name)
            with suppress(FileNotFoundError):
                path.unlink()  # of one that died: who has the lock has the name
            umask = os.umask(0o177)
            try:
                sock.bind(str(path))
            finally:
                os.umask(umask)
            sock.listen(MOST_ASKERS)
            sock.settimeout(0)
        except BaseException:
            sock.close()
            os.close(lock)
            raise
        return cls(name, path, sock, lock)

    @classmethod
    def inherit(cls, told: Mapping[str, Any]) -> ControlSocket:
        """Go on with what `estate` of another program gave."""
        sock = socket.socket(fileno=told["socket"])
        sock.settimeout(0)
        return cls(told["name"], Path(told["path"]), sock, told["lock"])

    @property
    def estate(self) -> dict[str, Any]:
        """What a program has to know that this one becomes."""
        return {"name": self.name, "path": str(self.path), "socket": self._socket.fileno(), "lock": self._lock}

    async def serve(self, supervisor: Supervisor) -> None:
        """Answer all who ask, until cancelled."""
        loop = asyncio.get_running_loop()
        asked = Asked(Answers(supervisor, "a command"), Api(supervisor, Answers(supervisor, "the admin API")))
        await supervisor.serving()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:  # no descriptor is free; who asks can wait
                await asyncio.sleep(1)
                continue
            if not is_allowed(connection):
                connection.close()
                continue
            if len(self._askers) >= MOST_ASKERS:
                turn_away(connection)
                continue
            asker = asyncio.create_task(converse(asked, connection))
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)

    def give_to(self, account: Account) -> None:
        """Let another user ask, as which we go on: the socket is that one's. Others find nothing but its name."""
        os.chown(self.path, account.uid, account.gid)
        self.path.parent.chmod(0o711)

    def close(self) -> None:
        """Give the name back."""
        for asker in self._askers:
            asker.cancel()
        self._socket.close()
        with suppress(OSError):
            self.path.unlink()
        os.close(self._lock)


class Asked(NamedTuple):
    """What answers: messages, and requests."""

    answers: Answers
    api: Api


async def converse(asked: Asked, connection: socket.socket) -> None:
    """Answer one asker; what it does wrong is its own loss."""
    with connection, suppress(OSError):
        connection.settimeout(0)
        http = await is_http(connection, IDLE_SECONDS)
        if http:
            await converse_http(asked.api, connection)
        elif http is not None:
            await asked.answers.converse(Channel(connection), lambda _: None, IDLE_SECONDS)


def turn_away(connection: socket.socket) -> None:
    """Answer whatever will be asked, without waiting for it, and hang up."""
    busy = GatewayError("too many commands at once; try again")
    with connection, suppress(OSError):
        connection.settimeout(0)
        with suppress(BlockingIOError):  # nothing has come yet: most likely it is a command
            if connection.recv(1, socket.MSG_PEEK).isalpha():
                connection.send(told_at_once(busy))
                return
        connection.send(framed(failure(ANY_QUESTION, busy)))


def take(lock: int, name: str) -> None:
    """Take the lock of a name."""
    try:
        locks.take(lock)
    except locks.TakenError as error:
        raise GatewayError(
            f"a gateway named `{name}` runs already{error.owner}\n"
            "      = give this one another name: pylos serve -n NAME"
        ) from None


def is_allowed(connection: socket.socket) -> bool:
    """Whether the other side is this user, or root. Where the system cannot tell, the folder has kept others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, uid, _ = CREDENTIALS.unpack(found)
    return uid in (0, os.geteuid())


def open_if_possible(name: str | None) -> ControlSocket | None:
    """Open the socket of a name; where there is no place for one, say so and serve without."""
    if name is None:
        return None
    try:
        return ControlSocket.open(name)
    except OSError as error:
        log.warning("control_failed", f"no control socket ({error}); reload with SIGHUP")
        return None


def connect(name: str) -> Line:
    """Reach the running gateway of a name. Raises GatewayError when there is none."""
    sock = reach(checked_name(name))
    if sock is None:
        raise GatewayError(f"no gateway named `{name}` runs here; {others()}")
    return Line(sock, lambda: f"the gateway `{name}` has ended")


def reach(name: str) -> socket.socket | None:
    """Connect to a living gateway."""
    for folder in folders():
        if not is_trusted(folder):
            continue
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(socket_path(folder, name)))
        except OSError:
            sock.close()
            continue
        return sock
    return None


def others() -> str:
    """Say what could have been meant."""
    names = []
    for name in known_names():
        if sock := reach(name):
            sock.close()
            names.append(name)
    known = f"there are {', '.join(names)} (-n NAME)" if names else "start it with `pylos serve`"
    return f"{known}, as the same user"
