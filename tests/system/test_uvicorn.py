"""Pylos in front of a real uvicorn with a Starlette application."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets.exceptions
import websockets.sync.client
from system.rig import ResidentMemory

from pylos import Gateway
from pylos.testing import RawClient, Response

CONFIG = """
[pylos]
version = 1
access_log = false
trusted_proxies = ["127.0.0.3"]
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["http://127.0.0.1:{port}"]
health = false
[route.all]
match = "/{{rest:path}}"
to = "app"
[route.below]
match = "below.example/app/{{rest:path}}"
strip = "/app"
to = "app"
"""
HOST = "public.example:8080"
MIB = 1 << 20
GIB_IN_MIB = 1024
GROWTH = 16 * MIB
"""How far the gateway's memory may grow while a gibibyte goes through: buffers, not bodies."""
AT_ONCE = 0.1


@contextmanager
def _uvicorn() -> Iterator[int]:
    """Uvicorn on a socket that already listens: a request that comes early waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "uvicorn", "asgi_app:app", "--app-dir", str(Path(__file__).parent)]
        command += ["--fd", str(listening.fileno()), "--log-level", "warning", "--no-access-log"]
        command += ["--proxy-headers", "--forwarded-allow-ips", "127.0.0.1,127.0.0.3"]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            yield listening.getsockname()[1]
        finally:
            process.kill()  # an endless stream would outlive a polite end
            process.wait(10)


@pytest.fixture(scope="module")
def served() -> Iterator[Gateway]:
    with _uvicorn() as port, Gateway.from_toml(CONFIG.format(port=port)) as gateway:
        yield gateway


def _get(gateway: Gateway, target: str, host: str = HOST, source: str | None = None, **fields: str) -> Response:
    with RawClient(gateway.address(), source=source) as client:
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        return client.request("GET", target, headers, host=host)


def test_url_and_client_are_the_public_ones(served: Gateway):
    seen = _get(served, "/seen?x=1", source="127.0.0.9").json()
    assert seen == {"url": f"http://{HOST}/seen?x=1", "client": "127.0.0.9", "path": "/seen"}


def test_url_behind_a_trusted_proxy(served: Gateway):
    fields = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "203.0.113.7"}
    seen = _get(served, "/seen", host="public.example", source="127.0.0.3", **fields).json()
    assert seen == {"url": "https://public.example/seen", "client": "203.0.113.7", "path": "/seen"}


def test_claims_of_a_stranger_change_nothing(served: Gateway):
    seen = _get(served, "/seen", X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.7").json()
    assert (seen["url"], seen["client"]) == (f"http://{HOST}/seen", "127.0.0.1")


@pytest.mark.parametrize(
    "target, location",
    [("/to-seen", f"http://{HOST}/seen"), ("/items", f"http://{HOST}/items/"), ("/to-path", "/seen?x=1")],
)
def test_redirect(target: str, location: str, served: Gateway):
    response = _get(served, target)
    assert response.status in {302, 307}
    assert response.header("location") == location


@pytest.mark.parametrize(
    "target, location",
    [("/app/to-seen", "http://below.example/app/seen"), ("/app/to-path", "/app/seen?x=1")],
)
def test_redirect_below_a_prefix(target: str, location: str, served: Gateway):
    assert _get(served, target, host="below.example").header("location") == location


def test_websocket_echo(served: Gateway):
    url = f"ws://{served.address()}/echo"
    with websockets.sync.client.connect(url, subprotocols=[websockets.Subprotocol("chat")]) as connection:
        assert connection.subprotocol == "chat"
        for text in ("hello", "", "ä" * 40_000):
            connection.send(text)
            assert connection.recv(timeout=10) == text
        connection.send("bye")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            connection.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as asked")


def test_websocket_client_that_leaves_closes_the_upstream(served: Gateway):
    with websockets.sync.client.connect(f"ws://{served.address()}/echo") as connection:
        connection.send("hello")
        assert connection.recv(timeout=10) == "hello"
        connection.socket.shutdown(socket.SHUT_RDWR)
        assert _get(served, "/left").json() == {"left": True}


def test_events_come_one_by_one(served: Gateway):
    """The application's clock is the machine's, so that each event says when it was sent."""
    with RawClient(served.address()) as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().header("content-type") == "text/event-stream; charset=utf-8"
        delays = []
        for number in range(5):
            client.read_until(b"data: %d " % number)
            sent = float(client.read_until(b"\n\n"))
            delays.append(time.monotonic() - sent)
    assert max(delays) < AT_ONCE
    assert _get(served, "/left").json() == {"left": True}


def test_stream_ends_with_its_client(served: Gateway):
    """The client leaves in the middle of a body that comes faster than it reads."""
    with RawClient(served.address()) as client:
        client.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        client.discard(MIB)
    assert _get(served, "/left").json() == {"left": True}


def test_download_of_a_gibibyte(served: Gateway):
    _get(served, f"/download?mib={64}")  # buffers are there from now on
    with ResidentMemory(served.gateway_pid) as memory, RawClient(served.address(), timeout=60) as client:
        client.send(b"GET /download?mib=%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % GIB_IN_MIB)
        assert client.read_head().header("content-length") == str(GIB_IN_MIB * MIB)
        assert client.discard() == GIB_IN_MIB * MIB
    assert memory.growth < GROWTH


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload_of_a_gibibyte(framing: str, served: Gateway):
    chunked = framing == "chunked"
    field = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (GIB_IN_MIB * MIB)
    piece = b"%x\r\n%s\r\n" % (MIB, bytes(MIB)) if chunked else bytes(MIB)
    with ResidentMemory(served.gateway_pid) as memory, RawClient(served.address(), timeout=60) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
        for _ in range(GIB_IN_MIB):
            client.send(piece)
        client.send(b"0\r\n\r\n" if chunked else b"")
        assert client.read_response().json() == {"bytes": GIB_IN_MIB * MIB}
    assert memory.growth < GROWTH


def test_client_that_does_not_read_holds_the_upstream_back(served: Gateway):
    """Backpressure: what a hundred sleeping clients do not take stays with the upstream."""
    with ResidentMemory(served.gateway_pid) as memory:
        clients = [RawClient(served.address()) for _ in range(50)]
        for client in clients:
            client.send(b"GET /download?mib=64 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert {client.read_head().status for client in clients} == {200}
        threading.Event().wait(1.0)  # time for everything that could flow to flow
        for client in clients:
            client.reset()
    assert memory.growth < 2 * GROWTH
