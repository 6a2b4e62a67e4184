"""What the control plane says on standard error: short lines at a terminal, JSON lines everywhere else."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime


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
    line = _human(level, text) if sys.stderr.isatty() else _json(level, event, text, fields)
    with suppress(OSError):  # a closed terminal or a full disk must not end the gateway
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _human(level: str, text: str) -> str:
    mark = "" if level == "info" else f"{level}: "
    return f"{time.strftime('%H:%M:%S')} pylos  {mark}{text}"


def _json(level: str, event: str, text: str, fields: dict[str, object]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"ts": now, "level": level, "event": event, "message": text, **fields})
