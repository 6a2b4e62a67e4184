"""Few descriptors and many clients: as many are served as there is room for, and nothing else suffers."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from system.rig import configuration, until
from system.senders import Senders, address_of

import pylos.gateway
from pylos.gateway import SUPERVISOR, Gateway
from pylos.testing import RawClient
from pylos.testing.plugin import UpstreamFactory

DESCRIPTORS = 256
CLIENTS = 1000
ROOM = 64
"""Clients that a gateway serves at least, each with a connection to the upstream."""
KNOWN = "known from the start"
LIMITED = ["sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$@"', "sh"]
"""Runs what follows with few descriptors."""
OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]\n'
IDLE_CPU = 0.10
"""The share of one CPU that a gateway may take while it is full and nothing moves."""


@pytest.fixture(params=[KNOWN, "taken away later"])
def starved(
    request: pytest.FixtureRequest, upstream: UpstreamFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gateway]:
    """A gateway that has few descriptors: it knows, or they are taken from it while it runs, as by a full system."""
    text = configuration(upstream(), more=OPS)
    with (tmp_path / "events").open("wb") as events:
        if request.param == KNOWN:
            monkeypatch.setattr(pylos.gateway, "SUPERVISOR", [*LIMITED, *SUPERVISOR])
        gateway = Gateway.from_toml(text, stderr=events).start()
        if request.param != KNOWN:
            resource.prlimit(gateway.gateway_pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        try:
            yield gateway
        finally:
            gateway.stop(drain=False)


async def _get(writer: asyncio.StreamWriter) -> None:
    """Ask once, and keep the connection."""
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _full(gateway: Gateway) -> Iterator[Senders]:
    """More clients than there is room for, and all that could be served has been."""
    with Senders(address_of(gateway.address()), CLIENTS, _get) as crowd:
        crowd.wait_for_connections()
        until(lambda: crowd.answered >= ROOM)
        until(lambda: gateway.status()["connections"] >= ROOM)
        yield crowd


def test_as_many_as_there_is_room_for(starved: Gateway):
    """Who is served stays so, the control socket answers, the CPU rests; and when they have gone, all is as before."""
    pid = starved.gateway_pid
    with _full(starved) as crowd:
        time.sleep(1)  # until nobody else comes in
        before, served, started = _cpu_seconds(pid), crowd.answered, time.monotonic()
        time.sleep(2)
        assert (_cpu_seconds(pid) - before) / (time.monotonic() - started) < IDLE_CPU
        assert crowd.answered == served
        assert starved.status()["connections"] >= ROOM
    until(lambda: starved.status()["connections"] == 0)
    with RawClient(starved.address()) as client:
        assert client.get().status == 200
    assert starved.gateway_pid == pid


def test_metrics_answer_meanwhile(starved: Gateway):
    with _full(starved), RawClient(starved.address("ops"), timeout=2) as client:
        assert client.get("/metrics").status == 200
        assert client.get("/readyz").status == 200


def test_it_is_told_at_most_once_a_second(starved: Gateway, tmp_path: Path):
    started = time.monotonic()
    with _full(starved):
        time.sleep(2)
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    told = Counter(line["event"] for line in lines if line["level"] in ("warn", "error"))
    assert 1 <= max(told.values(), default=0) <= time.monotonic() - started + 1
