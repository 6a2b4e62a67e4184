"""A gateway whose memory runs out refuses requests, says why, and goes on when there is room again."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from system.rig import Front, until

from pylos import Gateway
from pylos.testing import RawClient, Response
from pylos.testing.address import host_and_port
from pylos.testing.plugin import UpstreamFactory

OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]\n'
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-Long: " + b"x" * 15_000 + b"\r\n") * 4
"""Of a request that goes on: it stays in memory."""


def get(gateway: Gateway, path: str = "/", listener: str = "http") -> Response:
    with RawClient(gateway.address(listener)) as client:
        return client.get(path)


def test_requests_are_refused_before_memory_runs_out(front: Front, upstream: UpstreamFactory):
    gateway = front(
        upstream(),
        pylos='access_log = false\nmemory = "64MiB"\nworkers = 1',
        more=OPS,
    )
    assert get(gateway).status == 200
    with ExitStack() as stack:

        def another() -> bool:
            for _ in range(100):
                sock = stack.enter_context(socket.create_connection(host_and_port(gateway.address())))
                sock.sendall(HEAD)
            return get(gateway).status == 503

        until(another, seconds=20)
        refused = get(gateway)
        assert (refused.status, refused.header("pylos-reason")) == (503, "memory_low")
        assert refused.header("connection") == "close"
        page = get(gateway, "/metrics", "ops")
        assert page.status == 200, "what watches the gateway goes on"
        assert "pylos_memory_low 1" in page.text
    until(lambda: get(gateway).status == 200, seconds=20)
    until(lambda: "pylos_memory_low 0" in get(gateway, "/metrics", "ops").text, seconds=20)
