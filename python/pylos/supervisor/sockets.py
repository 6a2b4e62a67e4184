"""The listening sockets. The supervisor makes and keeps them, so that they outlive every gateway process.

A change of configuration goes in two steps: `prepare` opens what is new and touches nothing that is in use; then the
caller either takes it (`commit`, which closes what is no longer named) or not (`discard`, which closes what was new).
"""

from __future__ import annotations

import copy
import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pylos.errors import BindError, spelled
from pylos.supervisor.activation import Passed
from pylos.supervisor.channel import MOST_DESCRIPTORS

BACKLOG = 4096
UNIX = "unix:"

Key = tuple[object, ...]
"""What makes two binds the same socket: the resolved address, or for port 0 the place in the file that asks for it."""

TCP_HINTS = {
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRINUSE: "another program listens there, or another listener of this gateway with a wider address",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}
UNIX_HINTS = {
    errno.EACCES: "the folder must belong to the user that Pylos runs as, which makes and removes the socket in it",
    errno.ENOENT: "its folder must be there",
}


@dataclass(frozen=True)
class Held:
    """An open listening socket."""

    key: Key
    address: str
    """The real address: "127.0.0.1:8080" (never port 0), "[::1]:8080", "unix:/run/pylos.sock"."""
    socket: socket.socket
    inode: tuple[int, int] | None = None
    """Device and inode of a Unix socket's file, to remove no one else's later; None where it is not ours to remove."""
    mode: int | None = None
    """The rights that we have given to that file; None is as it was made."""

    def with_mode(self, mode: int | None) -> Held:
        """Give its file other rights, unless it has none of ours."""
        if mode == self.mode or mode is None or self.inode is None:
            return self
        path = self.address.removeprefix(UNIX)
        with suppress(OSError):  # somebody has removed it, or put another in its place
            if _inode(path) == self.inode:
                os.chmod(path, mode)  # noqa: PTH101 - as below
        return replace(self, mode=mode)

    def close(self) -> None:
        """Stop listening (as far as this process goes) and remove a Unix socket's file."""
        self.socket.close()
        if self.inode is not None:
            path = self.address.removeprefix(UNIX)
            with suppress(OSError):
                if _inode(path) == self.inode:
                    os.unlink(path)  # noqa: PTH108 - the address is a string; nothing is gained by a Path


@dataclass
class Prepared:
    """The sockets that a table needs, open; not yet taken."""

    table: dict[str, Any]
    """The table with every bind replaced by the real address of its socket."""
    listen: dict[str, list[str]] = field(default_factory=dict)
    """The real addresses of each listener."""
    held: dict[Key, Held] = field(default_factory=dict)
    modes: dict[Key, int | None] = field(default_factory=dict)
    """The rights that each of `held` is to have, which those in use before do not have yet."""
    opened: list[Held] = field(default_factory=list)
    """Those of `held` that `prepare` has opened."""

    @classmethod
    def of(cls, table: dict[str, Any], listen: dict[str, list[str]], held: Iterable[Held]) -> Prepared:
        """Go on with what another program has prepared."""
        prepared = cls(copy.deepcopy(table), listen, {one.key: one for one in held})
        for name, addresses in listen.items():
            prepared.table["listen"][name]["bind"] = list(addresses)
        return prepared

    @property
    def sockets(self) -> dict[str, socket.socket]:
        """All sockets by their real address."""
        return {held.address: held.socket for held in self.held.values()}

    def discard(self) -> None:
        """Close what was opened for it."""
        for held in self.opened:
            held.close()


class Sockets:
    """The listening sockets in use. Closed by `close`, when the supervisor ends. Those that were passed come first."""

    def __init__(self, passed: Passed | None = None) -> None:
        self._held: dict[Key, Held] = {}
        self._passed = passed or Passed()

    def prepare(self, table: dict[str, Any]) -> Prepared:
        """Open what the table names and is not open yet. BindError tells all that failed; then nothing was opened."""
        prepared = Prepared(copy.deepcopy(table))
        failures: list[str] = []
        for listener, index, bind, mode in _binds(table):
            try:
                held = self._obtain(prepared, listener, index, bind, mode)
            except (OSError, UnicodeError) as error:
                failures.append(_failure(listener, index, bind, error))
                continue
            prepared.table["listen"][listener]["bind"][index] = held.address
            prepared.listen.setdefault(listener, []).append(held.address)
        if len(prepared.held) > MOST_DESCRIPTORS:
            failures.append(f"{len(prepared.held)} addresses to listen on, at most {MOST_DESCRIPTORS}")
        if failures:
            prepared.discard()
            raise BindError("\n".join(failures))
        return prepared

    def inherit(self, held: Iterable[Held]) -> None:
        """Go on with sockets that are open already."""
        self._held |= {one.key: one for one in held}

    @property
    def held(self) -> list[Held]:
        """All that are open."""
        return list(self._held.values())

    def commit(self, prepared: Prepared) -> None:
        """Take the prepared sockets into use and close those that they do not name."""
        dropped = [held for key, held in self._held.items() if key not in prepared.held]
        self._held = {key: held.with_mode(prepared.modes[key]) for key, held in prepared.held.items()}
        for held in dropped:
            held.close()

    def close(self) -> None:
        """Close them all."""
        self.commit(Prepared({}))

    def _obtain(self, prepared: Prepared, listener: str, index: int, bind: str, mode: int | None) -> Held:
        family, address, key = _resolve(bind, (listener, index))
        if key in prepared.held:
            raise OSError("the address stands twice in this configuration")
        held = self._held.get(key)
        if held is None:
            held = self._open(family, address, key, mode)
            prepared.opened.append(held)
        prepared.held[key], prepared.modes[key] = held, mode
        return held

    def _open(self, family: int, address: Any, key: Key, mode: int | None) -> Held:  # noqa: ANN401 - as the family wants it
        """Take the socket that was passed for an address, or make one."""
        if passed := self._passed.take(family, address):
            return Held(key, _spelled(passed), passed)
        return _listen(family, address, key, mode)


def _binds(table: dict[str, Any]) -> Iterator[tuple[str, int, str, int | None]]:
    for listener, settings in table["listen"].items():
        mode = settings.get("mode")
        for index, bind in enumerate(settings["bind"]):
            yield listener, index, bind, None if mode is None else int(mode, 8)


def _resolve(bind: str, place: tuple[str, int]) -> tuple[int, Any, Key]:
    """Give the family, the address for bind(2), and the key."""
    if bind.startswith(UNIX):
        path = bind.removeprefix(UNIX)
        return socket.AF_UNIX, path, (UNIX, os.path.abspath(path))  # noqa: PTH100 - must not resolve links
    host, _, port = bind.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    family, _, _, _, address = found[0]
    key: Key = (family, *address)
    return family, address, (*key, *place) if address[1] == 0 else key


def _listen(family: int, address: Any, key: Key, mode: int | None) -> Held:  # noqa: ANN401 - as the family wants it
    """Make a listening socket. Without SO_REUSEPORT: where another program listens, this is to fail."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_UNIX:
            _clear_leftover(address)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        if family == socket.AF_UNIX and mode is not None:
            os.chmod(address, mode)  # noqa: PTH101 - as below; until it listens, nobody can connect
        sock.listen(BACKLOG)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    if family == socket.AF_UNIX:
        return Held(key, UNIX + address, sock, _inode(address), mode)
    return Held(key, _spelled(sock), sock)


def _clear_leftover(path: str) -> None:
    """Remove the file of a dead server; leave a live server's and everything that is no socket."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError("the path exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108 - as above
            return
        except BlockingIOError:
            pass  # it lives, and has no time for us
    raise OSError("a live server listens there")


def _inode(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _spelled(sock: socket.socket) -> str:
    if sock.family == socket.AF_UNIX:
        return f"{UNIX}{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def _failure(listener: str, index: int, bind: str, error: OSError | UnicodeError) -> str:
    where = spelled(("listen", listener, "bind", index))
    code, reason = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
    hint = None if code is None else (UNIX_HINTS if bind.startswith(UNIX) else TCP_HINTS).get(code)
    reason = reason or str(error)
    return f"cannot listen on {bind}: {reason} ({where})" + (f"\n      = {hint}" if hint else "")
