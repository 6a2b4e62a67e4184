"""A small forwarding proxy on uvloop and httptools: `asyncio_proxy.py PORT BACKEND_PORT`.

It does the benchmark's job and no more: keep-alive on both sides, bodies streamed both ways with backpressure, the
forwarding fields set, hop-by-hop fields removed. It has no timeouts, limits, retries, routing, log or metrics, and
takes no pipelined request before the last is answered. So it shows the least that a data plane in Python costs.
"""

import asyncio
import random
import sys
from functools import partial
from typing import cast

import httptools
import uvloop  # type: ignore[import-not-found, unused-ignore]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
REPLACED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id", b"via"})
BODILESS = frozenset({204, 304})
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Message:
    """A head as it is read, and how its body is framed on the way out."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.host = b""
        self.has_length = False
        self.chunked = False

    def add(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"host":
            self.host = value
        elif lower == b"content-length":
            self.has_length = True
        elif lower == b"transfer-encoding":
            self.chunked = True
        if lower not in HOP_BY_HOP and lower not in REPLACED:
            self.fields.append((name, value))

    def serialise(self, first_line: bytes, more: list[bytes]) -> bytes:
        lines = [first_line, *[name + b": " + value for name, value in self.fields], *more]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def body(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece


class Upstream(asyncio.Protocol):
    """A connection to the backend; in the pool while `client` is None."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.client: Client | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def begin(self, client: "Client") -> None:
        self.client = client
        self.message = Message()
        self.head = b""
        self.started = False
        self.parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()
            return
        # A head whose body has not begun must not wait for it; with a body, both went out together.
        if self.head and self.client is not None and (head := self._take_head()):
            self.client.send(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.message.add(name, value)

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:  # a provisional answer: the proxy speaks for itself and drops it
            self.message = Message()
            return
        self.head = self.message.serialise(b"HTTP/1.1 %d %b" % (status, b"OK" if status == 200 else b""), [])
        if self.client is not None and (self.client.method == b"HEAD" or status in BODILESS):
            self._finish(reusable=False)

    def on_body(self, piece: bytes) -> None:
        if self.client is not None:
            self.client.send(self._take_head() + self.message.body(piece))

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() >= 200:
            self._finish(reusable=self.parser.should_keep_alive())

    def connection_lost(self, _: Exception | None) -> None:
        self.proxy.forget(self)
        if (client := self.client) is not None:
            # Without a length the end of the connection is the end of the body; else the answer is cut short.
            self.client = None
            client.answer_lost(started=self.started)

    def pause_writing(self) -> None:
        if self.client is not None:
            self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.client is not None:
            self.client.transport.resume_reading()

    def _take_head(self) -> bytes:
        if self.started:
            return b""
        self.started = True
        return self.head

    def _finish(self, *, reusable: bool) -> None:
        client, self.client = self.client, None
        if client is None:
            return
        end = self._take_head() + (b"0\r\n\r\n" if self.message.chunked and client.method != b"HEAD" else b"")
        if end:
            client.send(end)
        if reusable:
            self.transport.resume_reading()
            self.proxy.idle.append(self)
        else:
            self.transport.close()
        client.answered()


class Client(asyncio.Protocol):
    """A client's connection: one request at a time."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.parser = httptools.HttpRequestParser(self)
        self.upstream: Upstream | None = None
        self.waiting: list[bytes] = []
        self.method = b""
        self.complete = False
        self.keep_alive = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.address = transport.get_extra_info("peername")[0].encode()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.write(BAD_REQUEST)
            self.transport.close()

    def on_message_begin(self) -> None:
        if self.method:
            raise ValueError("pipelined: more than this small proxy takes")
        self.message = Message()
        self.complete = False

    def on_url(self, target: bytes) -> None:
        self.message.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self.message.add(name, value)

    def on_headers_complete(self) -> None:
        self.method = self.parser.get_method()
        self.keep_alive = self.parser.should_keep_alive()
        message = self.message
        set_here = [
            b"X-Forwarded-For: " + self.address,
            b"X-Forwarded-Proto: http",
            b"X-Forwarded-Host: " + message.host,
            b"X-Request-Id: %032x" % random.getrandbits(128),
            b"Via: 1.1 asyncio",
        ]
        self.waiting = [message.serialise(b"%b %b HTTP/1.1" % (self.method, message.target), set_here)]
        self.proxy.with_upstream(self)

    def on_body(self, piece: bytes) -> None:
        self._forward(self.message.body(piece))

    def on_message_complete(self) -> None:
        self.complete = True
        if self.message.chunked:
            self._forward(b"0\r\n\r\n")

    def connected(self, upstream: Upstream) -> None:
        self.upstream = upstream
        upstream.begin(self)
        upstream.transport.write(b"".join(self.waiting))
        self.waiting.clear()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def answered(self) -> None:
        self.upstream = None
        self.method = b""
        if not (self.keep_alive and self.complete):
            self.transport.close()

    def answer_lost(self, *, started: bool) -> None:
        if not started:
            self.transport.write(BAD_GATEWAY)
        self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if (upstream := self.upstream) is not None:
            upstream.client = None
            upstream.transport.close()

    def pause_writing(self) -> None:
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.upstream is not None:
            self.upstream.transport.resume_reading()

    def _forward(self, data: bytes) -> None:
        if self.upstream is None:
            self.waiting.append(data)
        else:
            self.upstream.transport.write(data)


class Proxy:
    """The listener's state: the backend's port and the idle connections to it, the last used first."""

    def __init__(self, backend_port: int) -> None:
        self.backend_port = backend_port
        self.idle: list[Upstream] = []
        self.connecting: set[asyncio.Task[None]] = set()

    def with_upstream(self, client: Client) -> None:
        if self.idle:
            client.connected(self.idle.pop())
            return
        task = asyncio.get_running_loop().create_task(self._connect(client))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    def forget(self, upstream: Upstream) -> None:
        if upstream in self.idle:
            self.idle.remove(upstream)

    async def _connect(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, upstream = await loop.create_connection(partial(Upstream, self), "127.0.0.1", self.backend_port)
        except OSError:
            client.answer_lost(started=False)
            return
        if client.transport.is_closing():
            self.idle.append(upstream)
        else:
            client.connected(upstream)


async def serve(port: int, backend_port: int) -> None:
    proxy = Proxy(backend_port)
    server = await asyncio.get_running_loop().create_server(partial(Client, proxy), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
