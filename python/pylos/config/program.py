"""A configuration that is a Python program: run in a process of its own, and what it made is checked like any document.

The process that serves or checks imports no code of users. The child (child.py) has a session of its own, no terminal,
no descriptor but its result and its words, and not for ever.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from datetime import time as time_of_day
from functools import partial
from pathlib import Path
from typing import IO, Any

from pylos.config.check import Loaded, check
from pylos.config.problems import Report
from pylos.config.twin import CallPlaces
from pylos.contents import is_there
from pylos.errors import ConfigError, Place, Problem

SECONDS = 10.0
"""How long a program may take."""
COMMAND = (sys.executable, "-P", "-m", "pylos.config.child")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
LAST_WORDS = 2000
"""So many characters of what a failed program wrote are shown."""
MOST_WORDS = 64 << 10
"""So many bytes of what a program writes are kept, the last of them."""


def is_module(source: str) -> bool:
    """Whether a source is written "module:name"."""
    return MODULE.fullmatch(source) is not None and not is_there(Path(source))


def is_program(source: str) -> bool:
    """Whether a source is a Python program: "gateway.py", or "module:name"."""
    return source.endswith(".py") or is_module(source)


LAST_WORDS_WAIT = 1.0
"""Seconds in which what an ended program has written is read, where another process still holds the pipes."""


def load_program(source: str) -> Loaded:
    """Run a program and check what it made; raises ConfigError, P119 where the program itself failed."""
    result = run(source)
    if "failed" not in result:
        pass_on(result["words"])
    here = partial(place_of, source=source)
    if "problems" in result:
        raise ConfigError(Problem.from_json(problem, here) for problem in result["problems"])
    if "failed" in result:
        failed = result["failed"]
        raise failure(source, failed["message"], place_of(failed["place"], source), failed["hint"], result["words"])
    places = CallPlaces({tuple(path): here(place) for path, place in result["places"]})
    found = Report(places)
    for problem in result["found"]:
        found.note(Problem.from_json(problem, here))
    for path in result["spoiled"]:
        found.spoil(tuple(path))
    return check(restored(result["document"]), places, [Path(file) for file in result["files"]], found)


def run(source: str) -> dict[str, Any]:
    """Run the child to its end, and give what it says. Whatever it has started ends with it."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [*COMMAND, source, str(SECONDS)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        answer, words = Reading(child.stdout, None), Reading(child.stderr, MOST_WORDS)
        try:
            ended = has_ended(child, SECONDS)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has ended
                os.killpg(child.pid, signal.SIGKILL)
            held = time.monotonic() + LAST_WORDS_WAIT  # by a process in a session of its own
            found, said = answer.until(held), words.until(held)
    if not ended:
        raise late(source, said)
    try:
        result: dict[str, Any] = json.loads(found)
    except ValueError:
        how = f"by {signal.Signals(-child.returncode).name}" if child.returncode < 0 else f"with {child.returncode}"
        raise failure(source, f"the program ended itself ({how}) before it gave a Config", words=said) from None
    return {**result, "words": said}


def has_ended(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process itself, whoever else holds its pipes; whether it ended in time."""
    waiting = threading.Thread(target=child.wait, daemon=True)
    waiting.start()
    waiting.join(seconds)
    return not waiting.is_alive()


class Reading:
    """Reads a pipe in a thread, and keeps the last `most` bytes, or all."""

    def __init__(self, pipe: IO[bytes] | None, most: int | None) -> None:
        self._data = bytearray()
        self._most = most
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def until(self, moment: float) -> bytes:
        """Give what was read when the pipe has ended, at a moment at the latest."""
        self._thread.join(max(0.0, moment - time.monotonic()))
        return bytes(self._data)

    def _read(self, pipe: IO[bytes]) -> None:
        with suppress(OSError, ValueError):  # closed by whoever waits no longer
            while piece := os.read(pipe.fileno(), 1 << 16):
                self._data += piece
                if self._most is not None:
                    del self._data[: -self._most]


def pass_on(words: bytes) -> None:
    """Write what a program wrote to where it would have been without us: standard error."""
    if words:
        sys.stderr.write(words.decode(errors="replace"))
        sys.stderr.flush()


def late(source: str, words: bytes) -> ConfigError:
    """Make the error of a program that does not end."""
    hint = 'it only builds a Config: what waits or serves belongs under `if __name__ == "__main__":`'
    return failure(source, f"the program did not end within {SECONDS:g} s", hint=hint, words=words)


def failure(
    source: str, message: str, place: Place | None = None, hint: str | None = None, words: bytes = b""
) -> ConfigError:
    """Make the error of a program that failed, with the last that it wrote."""
    text = words.decode(errors="replace").strip()[-LAST_WORDS:]
    lines = [hint] if hint else []
    if text:
        lines += ["it wrote:", *(f"    {line}" for line in text.splitlines())]
    told = "\n".join(lines) or None
    return ConfigError([Problem("P119", "error", (), message, told, place or Place(source))])


def place_of(fields: Mapping[str, Any], source: str) -> Place:
    """Make a place of its plain values; the program's file is named as it was given."""
    here = fields["file"] == str(Path(source).absolute())
    return Place.from_json({**fields, "file": source if here else fields["file"]})


def restored(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Undo what child.py does to values that JSON does not know: dates come back, all else as a stand-in."""
    if isinstance(value, list):
        return [restored(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {FOREIGN}:
        name, text = value[FOREIGN]
        if name in DATES:
            return DATES[name](text)
        return type(name, (), {})()  # the checks say that it is a thing of this type, and refuse it
    return {key: restored(inner) for key, inner in value.items()}


FOREIGN = "\0type"
DATES = {"datetime": datetime.fromisoformat, "date": date.fromisoformat, "time": time_of_day.fromisoformat}
