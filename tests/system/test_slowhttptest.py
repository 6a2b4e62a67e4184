"""slowhttptest, a tool that is not ours: slow heads, slow bodies and slow readers (make test-services)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from system.rig import Front, until
from system.senders import Bystander, address_of

from pylos.testing import UpstreamConnection
from pylos.testing.plugin import UpstreamFactory

CONNECTIONS = 200
SECONDS = 15
"""For which the tool holds on, unless it is closed."""
LATE = 0.5
"""Seconds within which nine of ten answers come to a client that behaves, on a machine that has other work too."""
LISTEN = """timeouts = { header = "3s", idle = "5s", body_idle = "4s", send_idle = "3s" }
limits = { body_rate = "100B" }"""
LARGE = 20_000_000
AVAILABLE = re.compile(r"service available: +(\w+)")
MODES = {
    "slow headers": ["-H", "-i", "2", "-x", "24"],
    "slow body": ["-B", "-i", "2", "-x", "24", "-s", "100000"],
    "slow read": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "1"],
}


def _story(connection: UpstreamConnection) -> None:
    """Answer at length where that is asked for."""
    while (request := connection.read_request()) is not None:
        size = LARGE if request.target == "/large" else 2
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(0, size, 100_000):
            connection.send(bytes(min(size, 100_000)))


@pytest.mark.services
@pytest.mark.parametrize("mode", MODES)
def test_mode(mode: str, front: Front, upstream: UpstreamFactory, tmp_path: Path):
    """The service is there for others, and all connections of the tool are closed long before it gives up."""
    gateway = front(upstream(serve=_story), listen=LISTEN)
    options = ["-c", str(CONNECTIONS), "-r", "100", "-l", str(SECONDS), "-p", "2", "-u", f"{gateway.url()}/large"]
    output = tmp_path / "output"
    with Bystander(address_of(gateway.address())) as bystander, output.open("wb") as stdout:
        command = ["slowhttptest", *MODES[mode], *options]
        tool = subprocess.Popen(command, cwd=tmp_path, stdout=stdout)
        try:
            until(lambda: gateway.status()["connections"] > CONNECTIONS * 0.8)
            until(lambda: gateway.status()["connections"] <= 2)
            tool.wait(60)
        finally:
            tool.kill()
            tool.wait()
        bystander.more(5)
    told = AVAILABLE.findall(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output.read_text(errors="replace")))
    assert set(told) == {"YES"}
    assert bystander.failures == []
    assert bystander.share(0.9) < LATE
