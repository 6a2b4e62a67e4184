"""What the control plane says on standard error: short lines at a terminal, JSON lines everywhere else.

A thread writes them, and who tells something waits a moment for it. Where nobody reads standard error that is all the
time that is lost: lines are kept up to a bound and then dropped, and how many is told once they move again.
"""

from __future__ import annotations

import json
import os
import queue
import select
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

MOST_WAITING = 1000
"""Lines."""
PATIENCE = 0.2
"""Seconds that a line may take before nobody waits for the next ones."""


def info(event: str, text: str, **fields: object) -> None:
    """Tell something that went as it should. `event` is its fixed name, `fields` its facts for machines."""
    _write("info", event, text, fields)


def warning(event: str, text: str, **fields: object) -> None:
    """Tell something odd that changes nothing yet."""
    _write("warn", event, text, fields)


def error(event: str, text: str, **fields: object) -> None:
    """Tell something that went wrong."""
    _write("error", event, text, fields)


def _write(level: str, event: str, text: str, fields: dict[str, object]) -> None:
    _writer.write(_line(level, event, text, fields))


def _line(level: str, event: str, text: str, fields: dict[str, object]) -> str:
    return _human(level, text) if sys.stderr.isatty() else _json(level, event, text, fields)


def _human(level: str, text: str) -> str:
    mark = "" if level == "info" else f"{level}: "
    return f"{time.strftime('%H:%M:%S')} pylos  {mark}{text}"


def _json(level: str, event: str, text: str, fields: dict[str, object]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"ts": now, "level": level, "event": event, "message": text, **fields})


class _Writer:
    """Writes lines in a thread, which begins with the first one."""

    def __init__(self) -> None:
        self._lines: queue.Queue[tuple[str, threading.Event]] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._late = False
        """The last line that was waited for has not gone out yet."""
        self._lost = 0

    def write(self, line: str) -> None:
        """Write a line, and wait for that unless the output is known to be blocked."""
        self._start()
        written = threading.Event()
        try:
            self._lines.put_nowait((line, written))
        except queue.Full:
            with self._lock:
                self._lost += 1
            return
        if not self._late and not written.wait(PATIENCE):
            self._late = True

    def flush(self) -> None:
        """Wait until all is out, however long that takes."""
        self._lines.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="write events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            line, written = self._lines.get()
            _out(line)
            if self._lines.empty():
                self._late = False
                self._tell_lost()
            written.set()
            self._lines.task_done()

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            _out(_line("warn", "events_lost", f"{lost} lines were lost: nobody read them", {"count": lost}))


def _out(line: str) -> None:
    try:
        descriptor = sys.stderr.fileno()
    except OSError:  # what only looks like a file, as in a test
        with suppress(OSError):
            sys.stderr.write(line + "\n")
        return
    # By the descriptor: with a lock of the stream's in its hands, a thread that waits would hold up the end, too.
    data = (line + "\n").encode(errors="backslashreplace")
    with suppress(OSError):  # a closed terminal or a full disk must not end the gateway
        while data:
            data = data[_written(descriptor, data) :]


def _written(descriptor: int, data: bytes) -> int:
    """Write some of it, and wait for that where others have made the output one that does not wait."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        select.select([], [descriptor], [])
        return 0


_writer = _Writer()
