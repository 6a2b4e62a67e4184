"""A server behind the gateway: `python -m soak.target NAME PORT`. Says its port, then takes orders, one a line.

The last segment of a path says what is wanted, and each answer has the token of its request:

    give    a body of the `seed` and `size` that the query says
    take    reads such a body, and says whether it is that one
    echo    sends back what comes, while it comes
    events  server-sent events, so many (`count`), numbered
    talk    a WebSocket that sends back what it is sent

Orders: `serve`; `hang`: answers nothing; `cut`: half an answer, then a reset; `reset`; `refuse`: does not listen.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress

from soak.content import content, difference
from soak.frames import CLOSE, accepted, frame, read_frame
from soak.messages import Fields, Head, Malformed, chunk, pieces, read_body, read_head, spelled

EVENT_SECONDS = 0.05
LINGER = struct.pack("ii", 1, 0)


class Target:
    """One server, and the connections that it has."""

    def __init__(self, name: str, port: int) -> None:
        self._name, self._port = name, port
        self._mode = "serve"
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def run(self) -> None:
        """Serve until standard input ends."""
        await self._listen()
        sys.stdout.write(f"{self._port}\n")
        sys.stdout.flush()
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while order := (await orders.readline()).decode().strip():
            await self._obey(order)

    async def _obey(self, order: str) -> None:
        self._mode = order
        self._changed.set()
        self._changed = asyncio.Event()
        if order == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif order != "refuse" and self._server is None:
            await self._listen()
        sys.stdout.write(f"{order}\n")
        sys.stdout.flush()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, Malformed):
            while True:
                head = await read_head(reader)
                if head.target != "/health" and self._mode != "serve" and await self._misbehave(head, writer):
                    break
                await self._answer(head, reader, writer)
                await writer.drain()
        writer.close()

    async def _misbehave(self, head: Head, writer: asyncio.StreamWriter) -> bool:
        """Do as ordered; whether the connection is over."""
        if self._mode == "hang":
            await self._changed.wait()
            return False
        if self._mode == "cut":
            fields = {"x-token": head.query.get("t", ""), "Content-Length": "10000"}
            writer.write(spelled("HTTP/1.1 200 OK", fields) + b"half")
            await writer.drain()
        if self._mode in ("cut", "reset"):
            sock: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):  # the other side was first
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            return True
        return False

    async def _answer(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = head.query
        fields = {"x-token": query.get("t", ""), "x-target": self._name, "x-policy": head.fields.get("x-policy", "")}
        match head.target.rpartition("/")[2]:
            case "give":
                await read_body(reader, head)
                await _send(writer, fields, content(int(query["seed"]), int(query["size"])), "chunked" in query)
            case "take":
                wrong = difference(await read_body(reader, head), int(query["seed"]), int(query["size"]))
                await _send(writer, fields, (wrong or "as it was sent").encode())
            case "echo":
                await _echo(head, reader, writer, fields)
            case "events":
                await _events(writer, fields, int(query["count"]))
            case "talk":
                await _talk(head, reader, writer, fields)
            case _:
                await _send(writer, fields, b"ok")


async def _send(writer: asyncio.StreamWriter, fields: Fields, body: bytes, chunked: bool = False) -> None:  # noqa: FBT001, FBT002 - of this file alone
    if not chunked:
        writer.write(spelled("HTTP/1.1 200 OK", {**fields, "Content-Length": str(len(body))}) + body)
        return
    writer.write(spelled("HTTP/1.1 200 OK", {**fields, "Transfer-Encoding": "chunked"}))
    for start in range(0, len(body), 10_007):
        writer.write(chunk(body[start : start + 10_007]))
        await writer.drain()
    writer.write(chunk(b""))


async def _echo(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: Fields) -> None:
    writer.write(spelled("HTTP/1.1 200 OK", {**fields, "Transfer-Encoding": "chunked"}))
    async for piece in pieces(reader, head):
        writer.write(chunk(piece))
        await writer.drain()
    writer.write(chunk(b""))


async def _events(writer: asyncio.StreamWriter, fields: Fields, count: int) -> None:
    framing = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
    writer.write(spelled("HTTP/1.1 200 OK", {**fields, **framing}))
    for number in range(count):
        writer.write(chunk(f"data: {number}\n\n".encode()))
        await writer.drain()
        await asyncio.sleep(EVENT_SECONDS)
    writer.write(chunk(b""))


async def _talk(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: Fields) -> None:
    key = accepted(head.fields["sec-websocket-key"].encode()).decode()
    told = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": key}
    writer.write(spelled("HTTP/1.1 101 Switching Protocols", {**fields, **told}))
    while True:
        opcode, payload = await read_frame(reader)
        writer.write(frame(opcode, payload, masked=False))
        await writer.drain()
        if opcode == CLOSE:
            raise asyncio.IncompleteReadError(b"", None)  # the conversation is over, and so the connection


if __name__ == "__main__":
    asyncio.run(Target(sys.argv[1], int(sys.argv[2])).run())
