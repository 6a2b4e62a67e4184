"""What the policies in Python are: asked of a process that imports them, since this one imports no code of users.

It is a lane that serves nobody: it loads all policies and reads their settings, tells what they are, and ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylos.config.problems import Report
from pylos.model import Document, Python

SECONDS = 10.0
"""How long they may take to be imported."""
COMMAND = (sys.executable, "-P", "-m", "pylos.policy.process")


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


def inspect(document: Document, folder: Path, report: Report) -> Inspected:
    """Find out what the policies in Python are, and report those that cannot be used."""
    policies = {name: policy for name, policy in document.policy.items() if isinstance(policy, Python)}
    if not policies:
        return Inspected()
    told = ask(setup(policies), folder)
    for fault in told.get("faults", ()):
        message, _, more = fault["message"].partition("\n")
        hint = "\n".join(filter(None, [fault["hint"], more])) or None
        path = ("policy", fault["name"], *fault["path"])
        report.add("P121", path, message, hint=hint, part="key" if message == "unknown key" else "value")
    if "failed" in told:
        for name in policies:
            report.add("P121", ("policy", name, "call"), told["failed"], hint=told["hint"])
    traits = {
        one["name"]: Traits(one["phase"], one["body"], one["lane"], told["code"], one["is_async"], one["blocking"])
        for one in told.get("policies", ())
    }
    return Inspected(traits, [Path(file) for file in told.get("files", ())])


def setup(policies: Mapping[str, Python]) -> dict[str, Any]:
    """Say which policies a lane is to have."""
    wanted = [{"name": name, "call": one.call, "settings": one.settings} for name, one in policies.items()]
    return {"type": "setup", "policies": wanted}


def ask(message: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Start a process for a message, and give its answer; `failed` and `hint` where there is none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*COMMAND, str(theirs.fileno())],
            cwd=folder if folder.is_dir() else None,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a module prints while it is imported
            start_new_session=True,
        )
        theirs.close()
        try:
            return conversation(ours, message)
        except TimeoutError:
            hint = "a module of policies only defines them: what waits belongs into `@policy.start`"
            return {"failed": f"its module was not imported within {SECONDS:g} s", "hint": hint}
        except (OSError, ValueError, KeyError, TypeError):
            return {"failed": f"the process that imports it {end_of(process)}", "hint": None}
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
            process.wait()


def conversation(sock: socket.socket, message: Mapping[str, Any]) -> dict[str, Any]:
    """Send a message and wait for its answer. Raises TimeoutError, and ValueError where there is none."""
    deadline = time.monotonic() + SECONDS
    sock.settimeout(SECONDS)
    body = json.dumps(message).encode()
    sock.sendall(len(body).to_bytes(4) + body)
    data = bytearray()
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4]):
        if len(data) > LONGEST:
            raise ValueError("it says too much")
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        piece = sock.recv(1 << 16)
        if not piece:
            raise ValueError("it has ended")
        data += piece
    answer: dict[str, Any] = json.loads(data[4:])
    if answer["type"] not in ("ready", "failed"):
        raise ValueError("it says what cannot be understood")
    return answer


LONGEST = 16 << 20
"""Bytes of an answer."""


def end_of(process: subprocess.Popen[bytes]) -> str:
    """Say how a process ended that has not answered; one that goes on all the same is killed by who started it."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "hung up"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def touched(routes: Iterable[Mapping[str, Any]], policies: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give, by route, the policies in Python that its requests meet."""
    python = {name for name, policy in policies.items() if policy["kind"]["type"] == "python"}
    found: dict[str, list[str]] = {}
    for row in routes:
        met = [name for name in row["policies"] if name in python]
        if met:
            found.setdefault(row["route"], met)
    return found
