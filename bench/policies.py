"""The policies of the benchmark: they let everything pass, so that what is measured is what it costs to meet them."""

import ctypes
import os
import time

from pylos import Allow, Request, policy

LEAKED_MIB = 1024


@policy
def passes(_: Request) -> None: ...


@policy
async def passes_later(_: Request) -> None: ...


@policy
def remembered(_: Request) -> Allow:
    return Allow(remember="1h", by=["client.ip"])


@policy(lane="bad")
def sleeps_a_moment(_: Request) -> None:
    time.sleep(0.05)


@policy(lane="bad")
def sleeps(_: Request) -> None:
    time.sleep(60)


@policy(lane="bad")
def spins(_: Request) -> None:
    while True:
        pass


@policy(lane="bad")
def leaks(_: Request) -> None:
    kept = []
    while len(kept) < LEAKED_MIB:
        kept.append(bytearray(1 << 20))
    os._exit(1)  # nobody has kept it from that: as if memory were out now


@policy(lane="bad")
def crashes(_: Request) -> None:
    ctypes.string_at(0)
