"""Servers to put behind a gateway: `python examples/upstream.py 8001 8002`. Each answers with what it saw, as JSON."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """One server on 127.0.0.1; `name` is what it calls itself in its answers."""

    daemon_threads = True

    def __init__(self, port: int, name: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name


class Handler(BaseHTTPRequestHandler):
    """Answers everything; `/login` sends the client to a page of this server."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode(errors="replace")
        fields = {name.lower(): value for name, value in self.headers.items()}
        seen = {"server": self.server.name, "method": self.command, "path": self.path, "fields": fields, "body": body}
        text = json.dumps(seen, indent=2).encode() + b"\n"
        self.send_response(302 if self.path == "/login" else 200)
        if self.path == "/login":
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/welcome")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing: the gateway writes the log."""


def main(ports: list[str]) -> None:
    threads = [threading.Thread(target=Server(int(port), port).serve_forever, daemon=True) for port in ports]
    for thread in threads:
        thread.start()
    print(f"serving on {', '.join(ports)}, Ctrl-C ends it")
    threading.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1:] or ["8001", "8002"])
