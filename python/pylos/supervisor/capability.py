"""The rights into which Linux divides those of root (capabilities(7)), as far as this process has any.

By libc's own calls: Python has none for them. Elsewhere than on Linux nothing is done, and there is nothing to do.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LINUX = sys.platform == "linux"
BIND_NUMBER = 10
"""CAP_NET_BIND_SERVICE: binding ports below 1024."""
BIND_SERVICE = 1 << BIND_NUMBER
VERSION_3 = 0x20080522
PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 38, 47
AMBIENT_RAISE = 2


class Head(ctypes.Structure):
    """Which form, and of whom: 0 is the calling thread."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Sets(ctypes.Structure):
    """32 capabilities, a bit each."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def kept_through_a_change() -> Iterator[None]:
    """Keep what is permitted while root becomes another user. The kernel ends that with the next program."""
    _control(PR_SET_KEEPCAPS, 1)
    yield
    _control(PR_SET_KEEPCAPS, 0)


def keep_only_binding() -> None:
    """Give up all but the right to bind ports below 1024; without that where it is not permitted."""
    if not LINUX:
        return
    kept = _sets()[0].permitted & BIND_SERVICE
    _call("capset", (Sets * 2)(Sets(kept, kept, 0), Sets(0, 0, 0)))


def leave_none_to_children() -> None:
    """Let what is started from here on have none, though a service manager has given us some to hand on."""
    _set_inheritable(0)  # and with that goes what the kernel would have handed on


@contextmanager
def binding_handed_on() -> Iterator[None]:
    """Let a program that this one becomes have the right to bind ports below 1024, as far as this one has it."""
    if LINUX and os.geteuid() != 0 and _sets()[0].effective & BIND_SERVICE:
        _set_inheritable(BIND_SERVICE)
        _control(PR_CAP_AMBIENT, AMBIENT_RAISE, BIND_NUMBER)
    try:
        yield
    finally:
        leave_none_to_children()


def gain_none() -> None:
    """Let nothing that is started from here on gain any, by the owner of its file or otherwise."""
    _control(PR_SET_NO_NEW_PRIVS, 1)


def _set_inheritable(low: int) -> None:
    """Say what a program that is started can have, of the first 32; nothing of the others."""
    if not LINUX:
        return
    first, second = _sets()
    if (first.inheritable, second.inheritable) != (low, 0):
        first.inheritable, second.inheritable = low, 0
        _call("capset", (Sets * 2)(first, second))


def _sets() -> ctypes.Array[Sets]:
    sets = (Sets * 2)()
    _call("capget", sets)
    return sets


def _control(option: int, *values: int) -> None:
    if LINUX:
        rest = [ctypes.c_ulong(each) for each in (*values, 0, 0, 0)[:4]]
        _checked(_libc().prctl(ctypes.c_int(option), *rest), "prctl")


def _call(name: str, sets: ctypes.Array[Sets]) -> None:
    _checked(getattr(_libc(), name)(ctypes.byref(Head(VERSION_3, 0)), sets), name)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, name: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
