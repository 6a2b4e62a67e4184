"""Pebble, the authority for tests of Let's Encrypt, and what its validators meet: names, and servers with answers."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from pylos.supervisor.acme import Authority, LocalAuthority, Storage, Wanted
from pylos.supervisor.acme.http_01 import PATH
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.tls_alpn_01 import PROTOCOL

MODULE = "github.com/letsencrypt/pebble/v2/cmd/"
INSTALL = 300
"""Seconds for building both programs once."""
START = 20
PROFILES = {
    "default": {"description": "ninety days", "validityPeriod": 7776000},
    "short": {"description": "for tests of renewal", "validityPeriod": 15},
    "busy": {"description": "for such on a machine that has other work too", "validityPeriod": 24},
}


@cache
def program(name: str) -> str:
    """Find a program of Pebble's, or build it once for all tests on this machine; skip where that cannot be."""
    folder = Path(tempfile.gettempdir()) / f"pylos-tests-{os.getuid()}"
    for place in (os.environ.get("GOBIN"), str(Path.home() / "go" / "bin"), str(folder)):
        if place and (found := shutil.which(name, path=place)):
            return found
    if found := shutil.which(name):
        return found
    go = shutil.which("go")
    if go is None:
        pytest.skip(f"{name} is not installed, and there is no Go to build it with")
    command = [go, "install", f"{MODULE}{name}@latest"]
    try:
        built = subprocess.run(
            command, env={**os.environ, "GOBIN": str(folder)}, capture_output=True, timeout=INSTALL, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(command)}: not done in {INSTALL} s")
    if built.returncode:
        pytest.skip(f"{' '.join(command)}: {built.stderr.decode(errors='replace')[-300:]}")
    return str(folder / name)


def free_port() -> int:
    """Give a port that is free for TCP and UDP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])


@dataclass
class Process:
    """A program with its output in a file."""

    command: list[str]
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self, *ports: int) -> None:
        """Start it, and wait until it listens on all of these."""
        with self.output.open("ab") as output:
            environment = {**os.environ, **self.environment}
            self.running = subprocess.Popen(self.command, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + START
        for port in ports:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert self.running.poll() is None, self.output.read_text()
                assert time.monotonic() < deadline, f"{self.command[0]} does not listen on {port}"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self.running = None


@dataclass
class Pebble:
    """The authority. `http` and `tls` are where its validators ask, `dns` which server it asks for names."""

    folder: Path
    http: int
    tls: int
    dns: int
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)
    process: Process | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        issued = asyncio.run(_certificate(self.folder))
        for name, text in zip(("ca.pem", "cert.pem", "key.pem"), issued, strict=True):
            (self.folder / name).write_text(text)

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def authority(self, **settings: object) -> Authority:
        """Give the settings for it; without a profile it would choose one by chance."""
        given: dict[str, Any] = {"profile": "default", **settings}
        return Authority("pebble", self.directory, ca=self.folder / "ca.pem", **given)

    def start(self) -> Self:
        pebble = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.folder / "cert.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": self.http,
            "tlsPort": self.tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": PROFILES,
            **self.options,
        }
        (self.folder / "config.json").write_text(json.dumps({"pebble": pebble}))
        command = [
            program("pebble"),
            "-config",
            str(self.folder / "config.json"),
            "-dnsserver",
            f"127.0.0.1:{self.dns}",
        ]
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
        self.process = Process(command, self.folder / "output", environment | self.environment)
        self.process.start(self.port, self.management)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def manage(self, path: str, body: object = None) -> bytes:
        """Ask its management interface."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"https://127.0.0.1:{self.management}{path}", data, 5, context=context) as answer:
            return bytes(answer.read())


async def _certificate(folder: Path) -> tuple[str, str, str]:
    """Make root, certificate and key for Pebble's own TLS."""
    local = LocalAuthority(Storage(folder / "own"), Threads())
    wanted = Wanted("pebble", ("127.0.0.1", "localhost"), (Authority("local", "local"),))
    made = await local.issue(wanted)
    return (await local.root()).chain, made.chain, made.key


HOOK = """
import json, sys, urllib.request
def change(action, name, value):
    path = "set-txt" if action == "add" else "clear-txt"
    body = json.dumps({"host": name + ".", "value": value}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:PORT/{path}", body, 5).close()
if __name__ == "__main__":
    change(*sys.argv[1:])
"""


def external_key() -> str:
    """Make the HMAC key of an account that was made elsewhere, in base64url."""
    return secrets.token_urlsafe(48)


@dataclass
class Names:
    """challtestsrv: every name is 127.0.0.1, and TXT records are made through its API."""

    folder: Path
    port: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    process: Process | None = None

    def start(self) -> Self:
        self.folder.mkdir()
        options = {
            "-defaultIPv4": "127.0.0.1",
            "-defaultIPv6": "",
            "-http01": "",
            "-https01": "",
            "-tlsalpn01": "",
            "-doh": "",
            "-dnsserver": f"127.0.0.1:{self.port}",
            "-management": f"127.0.0.1:{self.api}",
        }
        command = [program("pebble-challtestsrv"), *(part for option in options.items() for part in option)]
        self.process = Process(command, self.folder / "output")
        self.process.start(self.port, self.api)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def write_hook(self, file: Path) -> None:
        """Write a program, and a module, that makes records here when it is told `add|remove NAME VALUE`."""
        file.write_text(HOOK.replace("PORT", str(self.api)))

    def texts_asked(self, name: str) -> list[str]:
        """Say which TXT records of a name were asked for: their names."""
        body = json.dumps({"host": name}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/dns-request-history", body, 5) as answer:
            asked = json.loads(answer.read()) or []
        return [one["Question"]["Name"] for one in asked if one["Question"]["Qtype"] == 16]


@contextmanager
def http_server(answer: Callable[[str], str | None]) -> Iterator[tuple[int, list[str]]]:
    """Answer http-01; gives the port, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = answer(self.path.removeprefix(PATH)) if self.path.startswith(PATH) else None
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write((found or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tls_server(certificate_for: Callable[[str], tuple[str, str] | None]) -> Iterator[tuple[int, list[str]]]:
    """Answer tls-alpn-01; gives the port, and the names that were asked for."""
    asked: list[str] = []

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        asked.append(name or "")
        found = certificate_for(name or "")
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = _context(*found)
        return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([PROTOCOL])
    context.sni_callback = choose  # type: ignore[assignment]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                connection.settimeout(5)
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _context(chain: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([PROTOCOL])
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(key + chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context
