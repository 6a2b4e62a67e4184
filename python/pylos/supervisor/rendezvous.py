"""Where a gateway process that has lost its supervisor is found by the next one.

A Unix socket beside the control socket. The supervisor makes it and gives it to its gateway processes; as long as there
is a supervisor nobody accepts. With it goes a piece of memory in which the supervisor writes what the next one has to
know: its estate.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pylos._core import version
from pylos.errors import GatewayError
from pylos.policy.wire import receive
from pylos.supervisor.channel import MOST_DESCRIPTORS
from pylos.supervisor.inheritance import Inherited, InheritedSocket, parsed

ANSWER_SECONDS = 5.0
PAGE = 1 << 30
"""The memory has two pages, which are written in turn. What was never written takes no room."""
HEAD = struct.Struct("=QQ32s")
"""Of a page: its number, the length of its text, and the text's SHA-256."""
SUFFIX = ".gateway"


@dataclass(frozen=True)
class Rendezvous:
    """The socket, listening, and the memory, to write and to read: descriptors."""

    path: Path
    socket: int
    memory: int
    reading: int
    """By which nothing can be written: a gateway process only keeps it. Made while this process has all its rights."""

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
            memory, reading = new_memory()
        except BaseException:
            sock.close()
            raise
        return cls(path, sock.detach(), memory, reading)

    @classmethod
    def inherit(cls, told: dict[str, Any]) -> Rendezvous:
        """Go on with what `estate` of another program gave."""
        return cls(Path(told["path"]), told["socket"], told["memory"], told["reading"])

    @property
    def estate(self) -> dict[str, Any]:
        """What a program has to know that this one becomes."""
        return {"path": str(self.path), "socket": self.socket, "memory": self.memory, "reading": self.reading}

    def write(self, estate: Inherited) -> None:
        """Write what the next supervisor has to know, if there should be one."""
        # Their numbers may be others' by then; the ground is ours alone.
        left = replace(estate, leaving=[], ground=None)
        text = json.dumps(asdict(left)).encode()
        number = max(number for number, _ in pages(self.memory)) + 1
        # Beside what was written before, which counts until this is whole.
        place = number % 2 * PAGE
        os.pwrite(self.memory, text, place + HEAD.size)
        os.pwrite(self.memory, HEAD.pack(number, len(text), sha256(text).digest()), place)

    def close(self, *, keep: bool) -> None:
        """Let go of it; take its path away unless there is a gateway process that is to be found there."""
        if not keep:
            with suppress(OSError):
                self.path.unlink()
        os.close(self.socket)
        os.close(self.memory)
        os.close(self.reading)


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
        if not is_own_memory(memory):
            raise GatewayError(f"what answers at {path} has another user's word for what a supervisor has left")
        inherited = estate_in(memory)
        os.close(memory)
        sockets = dict(zip(message["sockets"], listening, strict=True))
        if b"run_gateway" not in Path(f"/proc/{int(message['pid'])}/cmdline").read_bytes():
            raise GatewayError(f"what answers at {path} is no gateway process")
        for address in sockets.keys() - {one.address for one in inherited.sockets}:
            os.close(sockets[address])  # opened in the supervisor's last moment: it is made anew
        inherited = replace(
            inherited,
            gateway=message["pid"],
            channel=sock.detach(),
            number=message["generation"],
            sockets=[with_descriptor(one, sockets) for one in inherited.sockets if one.address in sockets],
            control=None,
            renews=message["version"] != version(),
        )
    return inherited, Rendezvous(path, rendezvous, *new_memory())


def is_own_memory(descriptor: int) -> bool:
    """Whether it is memory that a process of this user has made, and no file of any kind.

    A file of /proc can be root's too, and hold what another user has written.
    """
    found = os.fstat(descriptor)
    try:
        fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return found.st_nlink == 0 and found.st_uid == os.geteuid()


def new_memory() -> tuple[int, int]:
    """Make memory that others may keep and read, and only this process may write: descriptors to write and to read."""
    memory = os.memfd_create("pylos-estate")
    os.fchmod(memory, 0o400)
    return memory, os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)


def pages(memory: int) -> list[tuple[int, bytes]]:
    """Give what is whole in it, with its number; (0, b"") when nothing is."""
    found = [(0, b"")]
    for place in (0, PAGE):
        head = os.pread(memory, HEAD.size, place)
        if len(head) == HEAD.size:
            number, length, digest = HEAD.unpack(head)
            text = os.pread(memory, min(length, PAGE), place + HEAD.size)
            if sha256(text).digest() == digest:
                found.append((number, text))
    return found


def estate_in(memory: int) -> Inherited:
    """Read what a supervisor has left. Raises GatewayError for what is broken: it died while it wrote."""
    try:
        _, text = max(pages(memory))
        return parsed(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise GatewayError(f"what a supervisor has left to this one is broken: {error}") from None


def with_descriptor(one: InheritedSocket, sockets: dict[str, int]) -> InheritedSocket:
    """Give the same socket, by the descriptor that has come."""
    return replace(one, descriptor=sockets[one.address])
