"""A client with an identity: an address, default fields, cookies that stay."""

from __future__ import annotations

import json as spelling
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from time import time
from typing import Any
from urllib.parse import urlsplit

from pylos.testing.address import Address
from pylos.testing.client import DEFAULT_TIMEOUT, RawClient
from pylos.testing.message import Fields, Headers, Response, fields_of
from pylos.testing.script import ABSENT

HOST = "gateway.test"
Asked = Callable[[str, str, Fields, str | None], None]
"""Is told of each request that was answered: method, URL or path, fields, the address that it came from."""


class Client(RawClient):
    """A client as an application has it; all that a `RawClient` can do by the byte it can do too.

        alice = Client(running.address(), ip="203.0.113.7", headers={"authorization": "Bearer abc"})
        alice.post("https://shop.example.com/orders", json={"item": 7}).json()

    `ip`: the address that a trusted proxy would tell, in `X-Forwarded-For`; the gateway has to trust the address from
    which this client connects. `headers` go with every request, unless the request has a field of that name.
    `cookies` are sent, and those that answers set are kept, whatever their path and domain. `host` is where a path
    alone is asked for; a URL names its own host. With `tls`, the client speaks TLS itself, and asks for `server_name`
    (by default `host`); without it "https" in a URL is told in `X-Forwarded-Proto`, as by a proxy with TLS.

    A connection that the gateway has closed is opened anew for the next request.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        address: Address,
        timeout: float = DEFAULT_TIMEOUT,
        source: str | None = None,
        *,
        ip: str | None = None,
        headers: Headers = (),
        cookies: dict[str, str] | None = None,
        host: str = HOST,
        on_answer: Asked | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        super().__init__(address, timeout, source, tls=tls, server_name=server_name or host)
        self.cookies = dict(cookies or {})
        """What is sent with every request; answers add to it and take away."""
        self._connect = partial(
            RawClient.__init__, self, address, timeout, source, tls=tls, server_name=server_name or host
        )
        self._defaults = [*fields_of(headers), *([("X-Forwarded-For", ip)] if ip else [])]
        self._host, self._on_answer = host, on_answer
        self._over = False

    def request(  # noqa: PLR0913 - all have defaults
        self,
        method: str = "GET",
        target: str = "/",
        headers: Headers = (),
        body: bytes | None = None,
        host: str | None = HOST,
        *,
        json: Any = ABSENT,  # noqa: ANN401 - whatever there is in JSON
    ) -> Response:
        """Send a request and read the answer. `target` is a path or a URL; with `json`, that is the body."""
        fields = fields_of(headers)
        if json is not ABSENT:
            body = spelling.dumps(json).encode()
            fields = _with(fields, [("Content-Type", "application/json")])
        scheme, host, path = self._split(target, host)
        fields = _with(fields, [*self._defaults, *self._told_scheme(scheme)])
        if self.cookies:
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            fields = _with(fields, [("Cookie", cookies)])
        if self._over or self._is_closed():
            self.close()
            self._connect()
        peer = self._peer()
        self._over = True  # unless its whole answer is read: what is left of it is none to the next request
        answer = super().request(method, path, fields, body, host)
        self._over = "close" in (answer.header("connection") or "").lower()
        self._keep_cookies(answer)
        if self._on_answer is not None and host is not None:
            length = [("Content-Length", str(len(body)))] if body is not None else []
            self._on_answer(method, path, [("Host", host), *fields, *length], peer)
        return answer

    def get(self, target: str = "/", headers: Headers = ()) -> Response:
        """GET and read the answer."""
        return self.request("GET", target, headers)

    def post(self, target: str, body: bytes | None = None, *, json: Any = ABSENT, headers: Headers = ()) -> Response:  # noqa: ANN401 - as request
        """POST and read the answer."""
        return self.request("POST", target, headers, body, json=json)

    def put(self, target: str, body: bytes | None = None, *, json: Any = ABSENT, headers: Headers = ()) -> Response:  # noqa: ANN401 - as request
        """PUT and read the answer."""
        return self.request("PUT", target, headers, body, json=json)

    def patch(self, target: str, body: bytes | None = None, *, json: Any = ABSENT, headers: Headers = ()) -> Response:  # noqa: ANN401 - as request
        """PATCH and read the answer."""
        return self.request("PATCH", target, headers, body, json=json)

    def delete(self, target: str, headers: Headers = ()) -> Response:
        """DELETE and read the answer."""
        return self.request("DELETE", target, headers)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _split(self, target: str, host: str | None) -> tuple[str, str | None, str]:
        """Give the scheme, the host and the path with its query."""
        if not target.startswith(("http://", "https://")):
            return "http", self._host if host == HOST else host, target
        parts = urlsplit(target)
        return parts.scheme, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _peer(self) -> str | None:
        """Give the address from which this client connects; None over a Unix socket."""
        sock = self._stream.socket
        return None if sock.family == socket.AF_UNIX else str(sock.getsockname()[0])

    def _told_scheme(self, scheme: str) -> Fields:
        """Give what a proxy with TLS would tell, where there is none and the client has none."""
        return [("X-Forwarded-Proto", "https")] if scheme == "https" and self.tls is None else []

    def _is_closed(self) -> bool:
        """Whether the gateway has closed the connection and nothing is left to read."""
        return self._stream.socket.fileno() < 0 or self._stream.has_ended()

    def _keep_cookies(self, answer: Response) -> None:
        for line in answer.header_all("set-cookie"):
            pair, *attributes = line.split(";")
            name, _, value = pair.strip().partition("=")
            if _is_expired(attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def _with(fields: Fields, defaults: Fields) -> Fields:
    """Add the fields of which the name is not there."""
    there = {name.lower() for name, _ in fields}
    return [*fields, *((name, value) for name, value in defaults if name.lower() not in there)]


def _is_expired(attributes: list[str]) -> bool:
    """Whether a Set-Cookie takes the cookie away (RFC 6265, 5.2): Max-Age goes before Expires."""
    told = {name.strip().lower(): value.strip() for name, _, value in (one.partition("=") for one in attributes)}
    with suppress(ValueError):
        if "max-age" in told:
            return int(told["max-age"]) <= 0
        if "expires" in told:
            return parsedate_to_datetime(told["expires"]).timestamp() <= time()
    return False
