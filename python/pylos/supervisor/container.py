"""Being the first process of a container (PID 1), which has duties that an event loop with children of its own has not.

All orphans become children of PID 1, and are to be reaped; the kernel gives it no signal that it has not asked for. So
PID 1 becomes a program that does nothing else (reaper.py), and the supervisor goes on as its child, which no orphan
reaches: whom it waits for are its own.
"""

from __future__ import annotations

import os
import signal
import sys

from pylos.supervisor import reaper

FIRST = 1
FURTHER = 1 << 20
"""No descriptor has so high a number."""


def leave_first_place() -> int:
    """Go on in a child where we are PID 1, as others do unchanged. Gives the number that our starter knows us by."""
    known_by = os.getpid()
    if known_by == FIRST:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who ignores it has nobody to reap
        signal.pthread_sigmask(signal.SIG_BLOCK, reaper.WAITED_FOR)
        child = os.fork()
        if child:
            os.closerange(3, FURTHER)  # who waits for an end of one of them waits for the child's
            os.execv(sys.executable, [sys.executable, "-I", "-S", reaper.__file__, str(child)])  # noqa: S606 - no shell
        os.setpgid(0, 0)  # a Ctrl-C at the container's terminal is for PID 1, which hands it on: once
        signal.pthread_sigmask(signal.SIG_UNBLOCK, reaper.WAITED_FOR)
    return known_by
