"""What policies print and log, as JSON lines on standard error, each with the request that it is about."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pylos.policy.current import current

if TYPE_CHECKING:
    from pylos._core import Call

LEVELS = {"WARNING": "warn", "ERROR": "error", "CRITICAL": "error", "DEBUG": "debug"}
"""By Python's name; all others are "info"."""
QUIET = 1.0
"""Seconds: a client that makes a policy fail must not fill the disk."""
LONGEST = 16 << 10
"""Characters of a message."""
MOST_KINDS = 1000
"""Kinds of failures that are told apart: a policy may make classes of its own as it runs."""


class Teller:
    """Writes events. `policies` are the names by their numbers."""

    def __init__(self, policies: Sequence[str]) -> None:
        self._policies = policies
        self._out = sys.stderr
        self._told: dict[tuple[int, str], tuple[float, int]] = {}
        """By policy and kind of failure: when it was told last, and how often not since."""

    def tell(self, level: str, event: str, message: str, call: Call | None, **more: object) -> None:
        """Write one line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        about = {} if call is None else {"policy": self._policies[call.policy], "request_id": call.request_id}
        line = {"ts": now, "level": level, "event": event, "message": message[:LONGEST], **about, **more}
        self._out.write(json.dumps(line, default=str) + "\n")
        self._out.flush()

    def failed(self, call: Call, failure: BaseException) -> None:
        """Tell that a policy failed. The same kind of failure of one policy is told once a second, and counted."""
        if len(self._told) >= MOST_KINDS:
            self._told.clear()
        key, now = (call.policy, type(failure).__qualname__), time.monotonic()
        moment, unsaid = self._told.get(key, (-QUIET, 0))
        if now - moment < QUIET:
            self._told[key] = (moment, unsaid + 1)
            return
        self._told[key] = (now, 0)
        more = {"repeated": unsaid} if unsaid else {}
        self.tell("error", "policy_failed", "".join(traceback.format_exception(failure)).rstrip(), call, **more)

    def take_over(self) -> None:
        """From now on, what is printed and logged goes this way."""
        sys.stdout = Printed(self)
        root = logging.getLogger()
        root.addHandler(Logged(self))
        root.setLevel(logging.INFO)


class Printed(io.TextIOBase):
    """Standard output: whole lines are events."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._rest = ""

    def writable(self) -> bool:
        """Take text."""
        return True

    def write(self, text: str) -> int:
        """Tell each whole line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._teller.tell("info", "policy_print", line, current())
        if len(self._rest) > LONGEST:
            self._teller.tell("info", "policy_print", self._rest, current())
            self._rest = ""
        return len(text)


class Logged(logging.Handler):
    """The handler of the root logger."""

    def __init__(self, teller: Teller) -> None:
        super().__init__()
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        try:
            level = LEVELS.get(record.levelname, "info")
            self._teller.tell(level, "policy_log", self.format(record), current(), logger=record.name)
        except Exception:  # noqa: BLE001 - as logging itself does
            self.handleError(record)
