"""PID 1 of a container, once the supervisor runs in a child: it hands signals on, reaps orphans, ends as the child did.

Run by its path in a bare interpreter, with the child's number: it imports nothing of Pylos, and stays small. The
signals that it hands on are blocked when it begins, so that none is lost before it waits for them.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

HANDED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
WAITED_FOR = {*HANDED_ON, signal.SIGCHLD}


def main(child: int) -> int:
    """Serve as PID 1 until the child ends; gives its exit code, 128 and the number for a signal."""
    while True:
        number = signal.sigwait(WAITED_FOR)
        if number != signal.SIGCHLD:
            with suppress(OSError):  # it has ended; or it is another user's, and this one lacks CAP_KILL
                os.kill(child, number)
        elif (code := reap(child)) is not None:
            return code if code >= 0 else 128 - code


def reap(child: int) -> int | None:
    """Reap all that has ended; gives the exit code of the child when it is among them, negative for a signal."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
