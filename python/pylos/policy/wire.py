"""How a lane's process is started and spoken to.

Over Unix streams. Each message is a length (4 bytes, big-endian) and JSON; descriptors travel beside the first byte.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

BEGIN = """
import os, runpy
try:
    with open("/proc/self/autogroup", "w") as share:
        share.write("15")
except OSError:
    pass
try:
    os.setpriority(os.PRIO_PROCESS, 0, 5)
except OSError:
    pass
runpy.run_module("pylos.policy.process", run_name="__main__", alter_sys=True)
"""
"""To begin takes a tenth of a second of a processor, of which requests that ask no policy are to notice nothing: what
gives way comes before all that is imported. The session's share is as small as that until the lane is ready."""
COMMAND = (sys.executable, "-P", "-c", BEGIN)
"""And then the descriptors of the supervisor's socket and of the gateway's."""
LENGTH = 4
"""Bytes of a message's length."""
LONGEST = 64 << 20
"""Bytes of a message."""
RINGS = 4
"""Descriptors of a worker, the most that come with a message."""


@contextmanager
def started(folder: Path | None, *sockets: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Have a lane that has these sockets, for a while, in a folder and a session of its own; they are closed here."""
    descriptors = [one.fileno() for one in sockets]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*COMMAND, *map(str, descriptors)],
            cwd=folder,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a module prints while it is imported
            start_new_session=True,
        )
    finally:
        for one in sockets:
            one.close()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
        process.wait()


def end_of(process: subprocess.Popen[bytes]) -> str:
    """Say how a process ended that has hung up; one that goes on all the same is killed by who started it."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "hung up"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def send(stream: socket.socket, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
    """Send a message."""
    body = json.dumps(message).encode()
    data = len(body).to_bytes(LENGTH) + body
    sent = socket.send_fds(stream, [data], descriptors) if descriptors else 0
    stream.sendall(data[sent:])


def receive(
    stream: socket.socket, seconds: float | None = None, most: int = RINGS
) -> tuple[dict[str, Any], list[int]] | None:
    """Wait for a message and its descriptors, `most` of them, so long at most; None when the other side has closed.

    Raises TimeoutError, and ValueError for what is no message.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    stream.settimeout(seconds)
    head, descriptors, _, _ = socket.recv_fds(stream, LENGTH, most)
    message = None
    try:
        rest = read(stream, LENGTH - len(head), deadline) if head else None
        body = read(stream, int.from_bytes(head + rest), deadline) if rest is not None else None
        message = None if body is None else parsed(body)
    finally:
        if message is None:
            for one in descriptors:
                os.close(one)
    return None if message is None else (message, descriptors)


def parsed(body: bytes) -> dict[str, Any]:
    """Read a message. Raises ValueError for what is none."""
    try:
        message = json.loads(body)
    except RecursionError as error:  # of what is nested too deep
        raise ValueError(str(error)) from None
    if isinstance(message, dict) and isinstance(message.get("type"), str):
        return message
    raise ValueError(f"no message: {body[:100]!r}")


def read(stream: socket.socket, length: int, deadline: float | None) -> bytes | None:
    """Read so many bytes; None when there are fewer. Raises ValueError for too many: nothing that long is said."""
    if length > LONGEST:
        raise ValueError(f"a message of {length} bytes")
    data = bytearray()
    while len(data) < length:
        if deadline is not None:
            stream.settimeout(max(0.001, deadline - time.monotonic()))  # of users' code, which may trickle
        piece = stream.recv(length - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)
