"""Where a gateway process that has lost its supervisor is found by the next one.

A Unix socket beside the control socket. The supervisor makes it and gives it to its gateway processes; as long as there
is a supervisor nobody accepts. With it goes a piece of memory in which the supervisor writes what the next one has to
know: its estate.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pylos._core import version
from pylos.errors import GatewayError
from pylos.policy.wire import receive
from pylos.supervisor.channel import MOST_DESCRIPTORS
from pylos.supervisor.inheritance import Inherited, InheritedSocket, parsed

ANSWER_SECONDS = 5.0
SUFFIX = ".gateway"


@dataclass(frozen=True)
class Rendezvous:
    """The socket, listening, and the memory: two descriptors."""

    path: Path
    socket: int
    memory: int

    @classmethod
    def open(cls, control: Path) -> Rendezvous:
        """Make one beside a control socket whose name is ours. Raises OSError."""
        if not hasattr(os, "memfd_create"):
            raise OSError("this system has no memory that a gateway process could keep for the next supervisor")
        path = control.with_suffix(SUFFIX)
        with suppress(FileNotFoundError):
            path.unlink()  # nobody is behind it: who has the name has looked
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            umask = os.umask(0o177)
            try:
                sock.bind(str(path))
            finally:
                os.umask(umask)
            sock.listen()
            memory = os.memfd_create("pylos-estate")
        except BaseException:
            sock.close()
            raise
        return cls(path, sock.detach(), memory)

    @classmethod
    def inherit(cls, told: dict[str, Any]) -> Rendezvous:
        """Go on with what `estate` of another program gave."""
        return cls(Path(told["path"]), told["socket"], told["memory"])

    @property
    def estate(self) -> dict[str, Any]:
        """What a program has to know that this one becomes."""
        return {"path": str(self.path), "socket": self.socket, "memory": self.memory}

    def write(self, estate: Inherited) -> None:
        """Write what the next supervisor has to know, if there should be one."""
        left = replace(estate, lanes=[], ground=None)  # lanes' numbers may be others' by then; the ground is ours alone
        text = json.dumps(asdict(left)).encode()
        os.pwrite(self.memory, text, 0)
        os.truncate(self.memory, len(text))

    def close(self) -> None:
        """Take it away: the gateway has ended."""
        with suppress(OSError):
            self.path.unlink()
        os.close(self.socket)
        os.close(self.memory)


def adopt(control: Path) -> tuple[Inherited, Rendezvous] | None:
    """Find a gateway process that has lost its supervisor, and be that of it; None when there is none.

    Raises GatewayError for one that does not answer.
    """
    path = control.with_suffix(SUFFIX)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return None
        try:
            told = receive(sock, ANSWER_SECONDS, MOST_DESCRIPTORS)
        except (OSError, ValueError):
            told = None
        if told is None:
            raise GatewayError(
                f"a gateway process of that name has lost its supervisor, and does not answer at {path}\n"
                "      = end it, or give this one another name: pylos serve -n NAME"
            )
        message, (memory, rendezvous, *listening) = told
        inherited = estate_in(memory)
        sockets = dict(zip(message["sockets"], listening, strict=True))
        inherited = replace(
            inherited,
            gateway=message["pid"],
            channel=sock.detach(),
            number=message["generation"],
            sockets=[with_descriptor(one, sockets) for one in inherited.sockets if one.address in sockets],
            control=None,
            renews=message["version"] != version(),
        )
    return inherited, Rendezvous(path, rendezvous, memory)


def estate_in(memory: int) -> Inherited:
    """Read what a supervisor has left. Raises GatewayError for what is broken: it died while it wrote."""
    try:
        return parsed(json.loads(os.pread(memory, os.fstat(memory).st_size, 0)))
    except (ValueError, TypeError, KeyError) as error:
        raise GatewayError(f"what a supervisor has left to this one is broken: {error}") from None


def with_descriptor(one: InheritedSocket, sockets: dict[str, int]) -> InheritedSocket:
    """Give the same socket, by the descriptor that has come."""
    return replace(one, descriptor=sockets[one.address])
