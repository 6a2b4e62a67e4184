"""Bodies that both sides can make: of a seed and a size, so that one byte out of place is found."""

from __future__ import annotations

import random

BLOCK = random.Random(1).randbytes((1 << 20) + 7)  # noqa: S311 - bytes that repeat nowhere, no secret
STEP = 104_729


def content(seed: int, size: int) -> bytes:
    """Give the body of a seed."""
    start = seed * STEP % len(BLOCK)
    whole = BLOCK[start : start + size]
    while len(whole) < size:
        whole += BLOCK[: size - len(whole)]
    return whole


def difference(got: bytes, seed: int, size: int) -> str | None:
    """Say where a body is not that of a seed; None when it is."""
    wanted = content(seed, size)
    if got == wanted:
        return None
    if len(got) != size:
        return f"{len(got)} bytes instead of {size}"
    at = next(index for index, (one, other) in enumerate(zip(got, wanted, strict=True)) if one != other)
    return f"another byte at {at} of {size}: {got[at : at + 16]!r} instead of {wanted[at : at + 16]!r}"
