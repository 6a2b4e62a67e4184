"""What a supervisor leaves to the program that it becomes: an upgrade is an exec of the program as it is on disk now.

The process keeps its number, its children and its descriptors. All else is written as JSON into a piece of memory whose
descriptor is named by an environment variable.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylos.errors import GatewayError
from pylos.supervisor.capability import binding_handed_on
from pylos.supervisor.sockets import Held
from pylos.supervisor.source import Checked

if TYPE_CHECKING:
    from pylos.supervisor.rendezvous import Rendezvous

VARIABLE = "PYLOS_INHERITED"
HELD_BACK = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2}
"""They would end a program that does not handle them yet: they come when it does."""


@dataclass(frozen=True)
class InheritedSocket:
    """A listening socket."""

    key: tuple[object, ...]
    address: str
    descriptor: int
    inode: tuple[int, int] | None


@dataclass(frozen=True)
class Inherited:
    """All of it."""

    gateway: int
    """The gateway process that serves."""
    channel: int
    """The descriptor of the stream to it."""
    number: int
    """Of the configuration in use."""
    checked: dict[str, Any]
    """The configuration in use, in the form of `as_json`."""
    listen: dict[str, list[str]]
    """The addresses of each listener as they are."""
    sockets: list[InheritedSocket]
    leaving: list[int] = field(default_factory=list)
    """Children that are to end: lanes of that gateway process, and what was replaced before."""
    control: dict[str, Any] | None = None
    """Name, path, socket and lock of the control socket."""
    rendezvous: dict[str, Any] | None = None
    """Path, socket and memory."""
    ground: dict[str, Any] | None = None
    """What the supervisor stands on (`Ground.estate`): only for the program that it becomes."""
    renews: bool = True
    """Another gateway process takes over from that one, which is of another version of the program."""

    @property
    def descriptors(self) -> list[int]:
        """All that have to stay open."""
        control = [self.control["socket"], self.control["lock"]] if self.control else []
        rendezvous = [self.rendezvous[one] for one in ("socket", "memory", "reading")] if self.rendezvous else []
        ground = self.ground["descriptors"] if self.ground else []
        return [self.channel, *control, *rendezvous, *ground, *(one.descriptor for one in self.sockets)]

    @contextmanager
    def written(self) -> Iterator[int]:
        """Write it into memory, whose descriptor is given; it is closed where nothing came of it.

        Raises GatewayError.
        """
        try:
            memory = os.memfd_create("pylos-inherited", 0)
        except OSError as error:
            raise GatewayError(f"there is no memory for what the new program has to know: {error}") from error
        with os.fdopen(memory, "wb") as file:
            file.write(json.dumps(asdict(self)).encode())
            file.flush()
            yield memory

    def become(self, command: list[str], memory: int) -> None:
        """Become another program, which finds what was written. Raises GatewayError when that cannot be."""
        try:
            with self._kept_open(), binding_handed_on():
                os.environ[VARIABLE] = str(memory)
                os.execv(command[0], command)  # noqa: S606 - our own command, without a shell
        except OSError as error:
            os.environ.pop(VARIABLE, None)
            raise GatewayError(f"cannot start {command[0]} again: {error}") from error

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        for one in self.descriptors:
            keep_over_exec(one, kept=True)
        try:
            yield
        finally:
            for one in self.descriptors:
                keep_over_exec(one, kept=False)


@dataclass(frozen=True)
class Succession:
    """How a supervisor comes to be another program."""

    control: dict[str, Any] | None
    """What that one has to know of the control socket; None: there is none."""
    inherited: Inherited | None
    """What was left to this one."""
    rendezvous: Rendezvous | None
    """Where the next supervisor finds the gateway process, should this one be killed."""


def take() -> Inherited | None:
    """Take what was left to this program; None for one that was started afresh."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return None
    with os.fdopen(int(number), "rb") as file:
        file.seek(0)
        told = json.load(file)
    inherited = parsed(told)
    for one in inherited.descriptors:
        keep_over_exec(one, kept=False)
    return inherited


def parsed(told: dict[str, Any]) -> Inherited:
    """Read it from JSON. Raises TypeError and KeyError for what is no such thing."""
    sockets = [InheritedSocket(**{**one, "key": tuple(one["key"])}) for one in told["sockets"]]
    known = {one.name for one in fields(Inherited)}  # what a later version tells beside that is not for this one
    return Inherited(**{**{name: value for name, value in told.items() if name in known}, "sockets": sockets})


def keep_over_exec(descriptor: int, *, kept: bool) -> None:
    """Say whether it stays open in a program that this one becomes."""
    os.set_inheritable(descriptor, kept)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold signals back that would end a program which does not handle them yet; it lets them come itself."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        let_signals_come()


def let_signals_come() -> None:
    """Have signals come that were held back: they are handled from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def command() -> list[str]:
    """Give the command by which this program was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def as_json(checked: Checked) -> dict[str, Any]:
    """Write a configuration, but for what only its reader tells (warnings)."""
    return {
        "table": checked.table,
        "name": checked.name,
        "files": [str(file) for file in checked.files],
        "tests": checked.tests,
        "secrets": checked.secrets,
        "contents": checked.contents.hex(),
        "folder": str(checked.folder),
        "acme": checked.acme,
        "named": checked.named,
        "material": [str(file) for file in checked.material],
        "material_contents": checked.material_contents.hex(),
    }


def from_json(told: dict[str, Any]) -> Checked:
    """Read it again."""
    files, folder = [Path(file) for file in told["files"]], Path(told["folder"])
    material = [Path(file) for file in told.get("material", ())]  # an earlier version had all in `files`
    known = {one.name for one in fields(Checked)}
    told = {name: value for name, value in told.items() if name in known}
    digests = {key: bytes.fromhex(told.get(key, "")) for key in ("contents", "material_contents")}
    return Checked(**{**told, **digests, "files": files, "folder": folder, "material": material})


def to_inherit(held: Iterable[Held]) -> list[InheritedSocket]:
    """Write listening sockets."""
    return [InheritedSocket(one.key, one.address, one.socket.fileno(), one.inode) for one in held]


def inherited_sockets(inherited: Inherited) -> list[Held]:
    """Give the listening sockets."""
    opened = [(one, socket.socket(fileno=one.descriptor)) for one in inherited.sockets]
    for _, sock in opened:
        sock.settimeout(0)
    return [Held(one.key, one.address, sock, one.inode) for one, sock in opened]
