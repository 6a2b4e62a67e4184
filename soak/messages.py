"""Heads and bodies of HTTP/1.1 as both ends of a soak read and write them: what is not as it should be is an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PIECE = 64 * 1024
Fields = dict[str, str]


class Malformed(Exception):  # noqa: N818 - what a message is
    """What came is no message of HTTP."""


@dataclass(frozen=True)
class Head:
    """The first line in its three parts, and the fields, names in lower case."""

    first: tuple[str, str, str]
    fields: Fields

    @property
    def target(self) -> str:
        """Of a request: its path."""
        return urlsplit(self.first[1]).path

    @property
    def query(self) -> Fields:
        """Of a request."""
        return dict(parse_qsl(urlsplit(self.first[1]).query))

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first[1])

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.fields.get("transfer-encoding") == "chunked"

    @property
    def closes(self) -> bool:
        """Whether the connection ends behind this message."""
        return self.fields.get("connection", "").lower() == "close"


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read up to the empty line. Raises Malformed, or IncompleteReadError where the stream ends before it."""
    block = await reader.readuntil(b"\r\n\r\n")
    first, *lines = block[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    fields = [line.partition(":") for line in lines]
    if len(parts) != 3 or not all(colon for _, colon, _ in fields):
        raise Malformed(f"no head: {block[:200]!r}")
    return Head((parts[0], parts[1], parts[2]), {name.lower(): value.strip() for name, _, value in fields})


async def pieces(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """Give the body as it comes. Raises Malformed or IncompleteReadError."""
    if not head.is_chunked:
        left = int(head.fields.get("content-length", "0"))
        while left:
            piece = await reader.read(min(left, PIECE))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece
        return
    while size := await _chunk_size(reader):
        yield await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Malformed("no end of a chunk")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # a trailer


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """Read the whole body."""
    return b"".join([piece async for piece in pieces(reader, head)])


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    line = await reader.readuntil(b"\r\n")
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise Malformed(f"no size of a chunk: {line[:40]!r}") from None


def chunk(data: bytes) -> bytes:
    """Spell one chunk; the last one has no data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def spelled(first: str, fields: Fields) -> bytes:
    """Spell a head."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{first}\r\n{lines}\r\n".encode("latin-1")
