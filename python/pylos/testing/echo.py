"""An upstream that gives back what it saw, as JSON: the shortest way to ask what a gateway makes of a request."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

from pylos.testing.connection import UpstreamConnection
from pylos.testing.message import Request
from pylos.testing.script import reply
from pylos.testing.upstream import ScriptedUpstream


class EchoUpstream(ScriptedUpstream):
    """Answers every request with 200 and a JSON object.

    `upstream` (the name given here), `method`, `target`, `version`, `headers` (list of [name, value], as on the wire),
    `body` (as Latin-1 text), `body_length`, `trailers`, `connection` (index of the upstream connection).
    """

    def __init__(
        self,
        name: str = "echo",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        unix: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(serve=self._echo, host=host, port=port, unix=unix, tls=tls)
        self.name = name

    def _echo(self, connection: UpstreamConnection) -> None:
        while (request := connection.read_head()) is not None:
            if (request.header("expect") or "").lower() == "100-continue":
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body(request)
            connection.send(_spell(self.name, request))


def _spell(name: str, request: Request) -> bytes:
    seen = {
        "upstream": name,
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "headers": request.headers,
        "body": request.body.decode("latin-1"),
        "body_length": len(request.body),
        "trailers": request.trailers,
        "connection": request.connection,
    }
    body = json.dumps(seen).encode()
    answer = reply(body, headers=[("Content-Type", "application/json")])
    return answer.removesuffix(body) if request.method == "HEAD" else answer
