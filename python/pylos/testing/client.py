"""A client that sends exactly the bytes it is told and reads strictly."""

from __future__ import annotations

import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

from pylos.testing.address import Address, connect
from pylos.testing.message import Headers, ProtocolError, Response, fields_of
from pylos.testing.reading import read_body, read_response_head, response_framing
from pylos.testing.stream import ByteStream

DEFAULT_TIMEOUT = 10.0


class RawClient:
    r"""One connection to a gateway.

        with RawClient(gateway.address()) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response().status == 200

    `address` is "host:port", a URL, "unix:/path" or (host, port). Every read raises TimeoutError after `timeout`
    seconds, ProtocolError where the answer breaks HTTP, IncompleteError where it ends too early.

    `tls` makes it speak TLS, with a context as Python has them; `server_name` is what it asks for by SNI, and what its
    context wants to see in the certificate, by default the host of the address (of an address no SNI is sent).
    """

    def __init__(
        self,
        address: Address,
        timeout: float = DEFAULT_TIMEOUT,
        source: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        self._stream = ByteStream(connect(address, timeout, source, tls, server_name))

    # -- send ---------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._stream.send(data)

    def trickle(self, data: bytes) -> None:
        """Send bytes one by one, each in a segment of its own."""
        for index in range(len(data)):
            self._stream.send(data[index : index + 1])

    def request(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Headers = (),
        body: bytes | None = None,
        host: str | None = "gateway.test",
    ) -> Response:
        """Send a well-formed request and read the answer. A body goes with a Content-Length; host=None omits Host."""
        self.send(spell_request(method, target, headers, body, host))
        return self.read_response(method)

    def get(self, target: str = "/", headers: Headers = ()) -> Response:
        """GET and read the answer."""
        return self.request("GET", target, headers)

    def half_close(self) -> None:
        """Send FIN; reading goes on."""
        self._stream.half_close()

    # -- read ---------------------------------------------------------------------------------------------------------

    def read_response(self, method: str = "GET") -> Response:
        """Read one whole response to a request with `method`; 1xx responses before it stand in `interim`.

        A 101 is a final response without a body: what follows is for read_some and read_exactly.
        """
        interim: list[Response] = []
        response = self.read_head()
        while response.status < 200 and response.status != 101:
            interim.append(response)
            response = self.read_head()
        response.interim = interim
        read_body(self._stream, response, response_framing(response, method))
        return response

    def read_head(self) -> Response:
        """Read one response head, a 1xx too; the body stays for read_body or read_exactly."""
        response = read_response_head(self._stream)
        if response is None:
            raise EOFError("the gateway closed the connection without an answer")
        return response

    def read_body(self, response: Response, method: str = "GET") -> bytes:
        """Read the body that belongs to a head."""
        read_body(self._stream, response, response_framing(response, method))
        return response.body

    def read_some(self) -> bytes:
        """Read what is there, at least one byte; b"" at the end."""
        return self._stream.read_some()

    def read_exactly(self, count: int) -> bytes:
        """Read `count` bytes."""
        return self._stream.read_exactly(count)

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and with `mark`."""
        return self._stream.read_until(mark)

    def read_to_end(self) -> bytes:
        """Read until the gateway closes."""
        return self._stream.read_to_end()

    def discard(self, count: int | None = None) -> int:
        """Read and forget `count` bytes, or all up to the end; gives how many came."""
        return self._stream.discard(count)

    def expect_eof(self) -> None:
        """Expect that the gateway closes now (by FIN or RST) and sends nothing before."""
        try:
            rest = self._stream.read_to_end()
        except ConnectionResetError:
            rest = b""
        if rest:
            raise ProtocolError(f"expected the end of the connection, got {rest[:500]!r}")

    def expect_open(self, seconds: float = 0.2) -> None:
        """Expect that nothing comes, no end either. Costs `seconds`: what must not happen gives no signal."""
        before = self._stream.socket.gettimeout()
        self._stream.socket.settimeout(seconds)
        try:
            data = self._stream.read_some()
        except TimeoutError:
            return
        finally:
            self._stream.socket.settimeout(before)
        raise ProtocolError(f"expected an open, silent connection, got {data[:500]!r}")

    @property
    def received(self) -> bytes:
        """Every byte that came."""
        return bytes(self._stream.received)

    @property
    def received_count(self) -> int:
        """How many bytes came."""
        return len(self._stream.received)

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The connection as Python's `ssl` sees it: its version, the certificate; None without TLS."""
        return self._stream.socket if isinstance(self._stream.socket, ssl.SSLSocket) else None

    @property
    def local_address(self) -> str:
        """The address of this end, "host:port", as a gateway would log it."""
        name = self._stream.socket.getsockname()
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"

    # -- life ---------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Close with RST."""
        self._stream.linger_zero()
        self.close()

    def close(self) -> None:
        """Close with FIN."""
        with suppress(OSError):
            self._stream.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def spell_request(method: str, target: str, headers: Headers, body: bytes | None, host: str | None) -> bytes:
    """Spell a request head and its body."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"{name}: {value}" for name, value in fields_of(headers)]
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
