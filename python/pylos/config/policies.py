"""What the policies in Python are: asked of a process that imports them, since this one imports no code of users.

It is a lane that serves nobody: it loads all policies and reads their settings, tells what they are, and ends.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylos.config.problems import Report
from pylos.errors import PylosError
from pylos.model import Document, Python
from pylos.policy.wire import end_of, receive, send, started

SECONDS = 10.0
"""How long they may take to be imported."""


@dataclass(frozen=True)
class Traits:
    """What a policy's decorator says."""

    phase: str = "hooks"
    body: int | None = None
    """Bytes of the body that it reads."""
    lane: str | None = None
    """A lane of its own."""
    code: str = ""
    """A digest of its module and of all that this imports beside it."""
    is_async: bool = False
    blocking: bool = False


UNREAD = Traits()
"""Of a policy that could not be read."""


@dataclass(frozen=True)
class Inspected:
    """What was found out."""

    traits: dict[str, Traits] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    """What was imported: to change one of these is to change the configuration."""
    faults: list[tuple[tuple[str, ...], str, str | None]] = field(default_factory=list)
    """Path, message and hint of what cannot be used."""


def inspect(document: Document, folder: Path, report: Report) -> Inspected:
    """Find out what the policies in Python are, and report those that cannot be used."""
    policies = {name: policy for name, policy in document.policy.items() if isinstance(policy, Python)}
    if not policies:
        return Inspected()
    asked = [
        wanted(name, one.model_dump(include={"call", "settings", "concurrency"})) for name, one in policies.items()
    ]
    told = ask({"type": "setup", "policies": asked}, folder)
    if isinstance(told, Silent):
        for name in policies:
            report.add("P121", ("policy", name, "call"), told.why, hint=told.hint)
        return Inspected()
    for path, text, more in told.faults:
        message, _, rest = text.partition("\n")
        hint = "\n".join(filter(None, [more, rest])) or None
        report.add("P121", path, message, hint=hint, part="key" if message == "unknown key" else "value")
    return told


@dataclass(frozen=True)
class Silent:
    """Nothing was found out."""

    why: str
    hint: str | None = None


def ask(message: Mapping[str, Any], folder: Path) -> Inspected | Silent:
    """Start a process for a message, and give its answer."""
    ours, theirs = socket.socketpair()
    with ours, started(folder if folder.is_dir() else None, theirs) as process:
        try:
            ours.settimeout(SECONDS)
            # What is read is said by a process that it shares with code of users.
            with suppress(ConnectionError, ValueError, KeyError, TypeError, AttributeError):
                send(ours, message)
                told = receive(ours, SECONDS)
                if told is not None and told[0]["type"] in ("ready", "failed"):
                    return understood(told[0])
            return Silent(f"the process that imports it {end_of(process)}")
        except TimeoutError:
            hint = "a module of policies only defines them: what waits belongs into `@policy.start`"
            return Silent(f"its module was not imported within {SECONDS:g} s", hint)


def understood(told: Mapping[str, Any]) -> Inspected:
    """Read an answer."""
    code = str(told.get("code", ""))
    traits = {
        str(one["name"]): Traits(one["phase"], one["body"], one["lane"], code, one["is_async"], one["blocking"])
        for one in told.get("policies", ())
    }
    faults = [
        (("policy", str(one["name"]), *map(str, one["path"])), str(one["message"]), one["hint"])
        for one in told.get("faults", ())
    ]
    return Inspected(traits, [Path(file) for file in told.get("files", ())], faults)


def python_of(policies: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give those of a table's policies that are in Python, by name: their call, settings, lane and so on."""
    kinds = {name: policy["kind"] for name, policy in sorted(policies.items())}
    return {name: kind for name, kind in kinds.items() if kind["type"] == "python"}


def find_python(policies: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give one of them. Raises PylosError, which tells those that there are."""
    python = python_of(policies)
    if name not in python:
        known = f"known are {', '.join(python)}" if python else "none is"
        raise PylosError(f"there is no policy `{name}` in Python; {known}")
    return python[name]


def wanted(name: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    """Say to a lane which policy it is to have."""
    return {"name": name, **{key: kind[key] for key in ("call", "settings", "concurrency")}}


def touched(routes: Iterable[Mapping[str, Any]], policies: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give, by route, the policies in Python that its requests meet."""
    python = python_of(policies)
    found: dict[str, list[str]] = {}
    for row in routes:
        met = [name for name in row["policies"] if name in python]
        if met:
            found.setdefault(row["route"], met)
    return found
