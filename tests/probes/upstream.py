"""The upstream behind a proxy under probe: records every request, answers by script."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probes.observe import REQUEST_LINE, Chunks, Request, framing, read_fields
from probes.probe import NEXT_BODY, Reply

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

NEXT_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(NEXT_BODY), NEXT_BODY)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: a longer answer goes in one write
LONGEST_TRICKLE = 2000
#: enough turns of the loop for a connection in the backlog to be accepted and read to its end
TURNS = 24


@dataclass
class Stage:
    """What all connections of one upstream share."""

    reply: Reply = field(default_factory=Reply)
    requests: list[Request] = field(default_factory=list)
    #: write answers one byte at a time
    trickle: bool = False


class Upstream:
    """A server in a thread of its own. `expect` begins a probe, `take` ends it."""

    def __init__(self) -> None:
        """Nothing runs before `__enter__`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._stage = Stage()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop listening and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def expect(self, reply: Reply, *, trickle: bool = False) -> None:
        """Forget what was recorded and answer with this from now on."""
        asyncio.run_coroutine_threadsafe(self._set(reply, trickle=trickle), self._loop).result(10)

    def take(self) -> list[Request]:
        """What arrived since `expect`; everything already on the wire is read first."""
        return asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result(10)

    async def _listen(self) -> None:
        self._connections: set[Connection] = set()
        factory = lambda: Connection(self._stage, self._connections)  # noqa: E731
        self._server = await self._loop.create_server(factory, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def _set(self, reply: Reply, *, trickle: bool) -> None:
        await self._settle()
        self._stage.reply = reply
        self._stage.trickle = trickle
        self._stage.requests = []

    async def _settle(self) -> list[Request]:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return self._stage.requests


class Connection(asyncio.Protocol):
    """One connection from the proxy."""

    def __init__(self, stage: Stage, alive: set[Connection]) -> None:
        """`alive` lets the server close what is still open at its end."""
        self._stage = stage
        self._alive = alive
        self._data = b""
        self._request: Request | None = None
        self._chunks: Chunks | None = None
        self._length = 0
        self._tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """A request that was being read stays recorded as incomplete."""
        self._alive.discard(self)

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read as many requests as the bytes hold."""
        if self._tunnel:
            self._transport.write(data)
            return
        self._data += data
        while self._advance():
            pass

    def _advance(self) -> bool:
        if self._request is None and not self._begin():
            return False
        request = self._request
        assert request is not None
        if self._chunks is not None:
            self._data = self._chunks.take(self._data)
            done = self._chunks.done
        else:
            missing = self._length - len(request.body)
            request.body += self._data[:missing]
            self._data = self._data[missing:]
            done = len(request.body) == self._length
        if done:
            self._finish(request)
        return done and not self._tunnel and not self._transport.is_closing()

    def _begin(self) -> bool:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return False
        self._data = rest
        request = read_request(head)
        kind, self._length = framing(request)
        self._chunks = Chunks(request) if kind == "chunked" else None
        self._request = request
        self._stage.requests.append(request)
        if request.target != b"/next":
            self._write(self._early(request))
        return True

    def _early(self, request: Request) -> bytes:
        reply = self._stage.reply
        expects = [value.lower() for value in request.values(b"expect")] == [b"100-continue"]
        return (CONTINUE if reply.invites and expects else b"") + reply.early

    def _write(self, data: bytes) -> None:
        size = 1 if self._stage.trickle and len(data) <= LONGEST_TRICKLE else len(data) or 1
        for start in range(0, 0 if self._transport.is_closing() else len(data), size):
            self._transport.write(data[start : start + size])

    def _finish(self, request: Request) -> None:
        request.complete = True
        self._request = None
        if request.target == b"/next":
            self._write(NEXT_REPLY)
            return
        reply = self._stage.reply
        self._write(reply.late)
        self._tunnel = reply.echo
        if reply.close:
            self._transport.close()
        elif reply.echo and self._data:
            self._transport.write(self._data)


def read_request(head: bytes) -> Request:
    """A request's head; a flaw for each thing that a proxy must not send."""
    lines = head.split(b"\r\n")
    request = Request(line=lines[0])
    match = REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        request.flaws.append(f"bad request line {lines[0][:80]!r}")
        words = lines[0].split(b" ")
        request.target = words[1] if len(words) > 1 else b""
    else:
        request.method, request.target = match[1], match[2]
    request.fields = read_fields(lines[1:], request.flaws)
    if match is not None and match[3] == b"1" and len(request.values(b"host")) != 1:
        request.flaws.append(f"{len(request.values(b'host'))} Host fields")
    return request
