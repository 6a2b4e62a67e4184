"""Frames of WebSocket, short ones: enough to count messages and to say goodbye (RFC 6455, 5.2)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os

TEXT, CLOSE = 1, 8
FINAL, MASKED, LONG = 0x80, 0x80, 126
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING_AWAY = 1001


def frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """Spell one frame of at most 125 bytes; those of a client are masked."""
    if len(payload) >= LONG:
        raise ValueError(f"{len(payload)} bytes are too long for a short frame")
    if not masked:
        return bytes([FINAL | opcode, len(payload)]) + payload
    mask = os.urandom(4)
    return bytes([FINAL | opcode, MASKED | len(payload)]) + mask + _masked(payload, mask)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a frame: its opcode and its payload. Raises IncompleteReadError at the end."""
    first, second = await reader.readexactly(2)
    mask = await reader.readexactly(4) if second & MASKED else b""
    payload = await reader.readexactly(second & ~MASKED)
    return first & 0x0F, _masked(payload, mask) if mask else payload


def accepted(key: bytes) -> bytes:
    """Answer the key of a handshake (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + MAGIC).digest())  # noqa: S324 - the protocol says SHA-1


def _masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
