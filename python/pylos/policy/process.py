"""A lane's process: it is told which policies it has, and then which workers it answers.

Over a Unix stream, each message a length (4 bytes, big-endian) and JSON; descriptors travel beside the first byte.

    {"type": "setup", "policies": [{"name", "call", "settings"}]}    {"type": "ready", "policies": [{"name", ...}]}, or
                                                                     {"type": "failed", "faults": [...]} and it ends
    {"type": "attach"} and jobs, answers, bell, back                 nothing; its jobs are answered from now on

When the other side closes, it finishes what it was asked and ends.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pylos._core import Lane
from pylos.policy.lane import Room
from pylos.policy.load import Loaded, LoadError, load

LENGTH = 4
"""Bytes of a message's length."""
LONGEST = 64 << 20
"""Bytes of a message."""
RINGS = 4
"""Descriptors of a worker."""


def main(descriptor: int) -> int:
    """Be a lane for who is at the other end of a socket; gives the exit code."""
    with socket.socket(fileno=descriptor) as line:
        line.settimeout(None)
        setup = receive(line)
        if setup is None:
            return 0
        try:
            loaded = load_all(setup[0]["policies"], line)
        except LoadError:
            return 1
        return run(answer(line, loaded))


def load_all(wanted: list[Mapping[str, Any]], line: socket.socket) -> list[Loaded]:
    """Load all policies and say so; raises LoadError when that fails for one, after all faults were told."""
    loaded, faults = [], []
    for one in wanted:
        try:
            loaded.append(load(one["call"], one["settings"]))
        except LoadError as error:
            faults += [{"name": one["name"], **asdict(fault)} for fault in error.faults]
    if faults:
        send(line, {"type": "failed", "faults": faults})
        raise LoadError([])
    told = [
        {"name": one["name"], "phase": each.policy.phase, "body": each.policy.body, "is_async": each.policy.is_async}
        for one, each in zip(wanted, loaded, strict=True)
    ]
    send(line, {"type": "ready", "policies": told})
    return loaded


def run(lane: Coroutine[Any, Any, int]) -> int:
    """Run it in a loop of uvloop where that is installed, which costs half of what asyncio's does."""
    try:
        return int(importlib.import_module("uvloop").run(lane))
    except ModuleNotFoundError:
        return asyncio.run(lane)


async def answer(line: socket.socket, loaded: list[Loaded]) -> int:
    """Answer workers until the other side closes."""
    room = Room([one.policy for one in loaded], [one.settings for one in loaded], report)
    line.settimeout(0)
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def heard() -> None:
        line.settimeout(None)  # a message that has begun is there at once
        told = receive(line)
        line.settimeout(0)
        if told is None:
            loop.remove_reader(line)
            closed.set()
        elif told[0]["type"] == "attach":
            _, descriptors = told
            room.attach(Lane(*descriptors), descriptors[2])

    loop.add_reader(line, heard)
    await closed.wait()
    await room.finish()
    return 0


def report(request: str, failure: str) -> None:
    """Tell that a policy failed, on standard error."""
    told = {"level": "error", "event": "policy_failed", "request_id": request, "message": failure}
    sys.stderr.write(json.dumps(told) + "\n")
    sys.stderr.flush()


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Wait for a message and its descriptors; None when the other side has closed."""
    head, descriptors, _, _ = socket.recv_fds(line, LENGTH, RINGS)
    while 0 < len(head) < LENGTH:
        head += line.recv(LENGTH - len(head))
    length = int.from_bytes(head)
    if not head or length > LONGEST:
        return None
    body = bytearray()
    while len(body) < length:
        piece = line.recv(length - len(body))
        if not piece:
            return None
        body += piece
    return json.loads(body), descriptors


def send(line: socket.socket, message: Mapping[str, object]) -> None:
    body = json.dumps(message).encode()
    line.sendall(len(body).to_bytes(LENGTH) + body)


if __name__ == "__main__":
    # The directory of the configuration comes first, as for a script.
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main(int(sys.argv[1])))
