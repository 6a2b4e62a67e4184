"""Reloads that change routes and listeners, workers that come and go, upgrades and kills, under load.

Nothing is refused or fails but what was in flight in a process that was killed.

Short in CI. By hand, the whole of it: `PYLOS_RELOADS=100 PYLOS_MORE_RELOADS=1000 pytest -s` of this file; the first 100
take at least 90 s, and the 1,000 behind them are about memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from system.load import Load
from system.rig import Front, configuration, until

from pylos.testing.plugin import UpstreamFactory
from soak.actions import kills, reloads
from soak.document import WORKERS
from soak.kinds import bodies, plain, streams
from soak.kinds.client import Client
from soak.site import Site, open_site
from soak.traffic import Kind, Traffic
from soak.watch import Sample, Taken, settled

ROUTE = '[route.r{0}]\nmatch = "/r/{0}"\nrespond = {{ text = "{0}" }}\n'
WARMING = 30
"""Reloads after which the supervisor's history is full."""
RELOADS = int(os.environ.get("PYLOS_RELOADS", "4"))
MORE_RELOADS = int(os.environ.get("PYLOS_MORE_RELOADS", "0"))
APART = 0.7
"""Seconds from one reload to the next, at least."""
DRAIN = 10
"""Seconds."""
LATE = 0.1
"""Seconds that a new connection may wait for its answer; one in twenty may more, where the machine has other work."""
STUCK = 2.0
"""Seconds that are too long on any machine: a connection that nobody takes."""


LOAD = (
    Kind(plain.small, 64, 0.05),
    Kind(plain.newcomer, 24, 0.1),
    Kind(streams.long_websocket, 20, 0.0),
    Kind(bodies.long_upload, 4, 0.0),
)


@asynccontextmanager
async def _under_load(
    folder: Path, size: float = 1, kinds: tuple[Kind, ...] = LOAD
) -> AsyncIterator[tuple[Site, Traffic]]:
    async with open_site(1, folder) as site:
        traffic = Traffic(site.ledger, site.document.port, 1, kinds, size)
        traffic.go()
        try:
            yield site, traffic
        finally:
            await traffic.close()


async def _look_for_lines(site: Site) -> None:
    """End the gateway, and find that each answer has its line."""
    assert await site.served.stop() == 0
    site.log_lines.read()
    site.ledger.look_for_lines(last=True)


async def _reload(site: Site, count: int, apart: float = APART) -> None:
    for number in range(count):
        started = time.monotonic()
        await (reloads.listeners if number % 3 == 2 else reloads.routes)(site)
        await asyncio.sleep(max(0.0, apart - (time.monotonic() - started)))


async def _reloads_under_load(folder: Path) -> tuple[Site, Sample, Sample]:
    async with _under_load(folder) as (site, traffic):
        await _reload(site, RELOADS)
        await traffic.pause()
        await reloads.put(site, site.next(routes=frozenset(), listeners=()))
        before = after = await settled(site.served, site.document.admin_port)
        if MORE_RELOADS:
            traffic.go()
            await _reload(site, MORE_RELOADS, 0.0)
            await traffic.pause()
            await reloads.put(site, site.next(routes=frozenset(), listeners=()))
            after = await settled(site.served, site.document.admin_port)
        await _look_for_lines(site)
        return site, before, after


@pytest.mark.timeout(100 + 15 * (RELOADS + MORE_RELOADS))
def test_reloads_under_load(tmp_path: Path):
    site, before, after = asyncio.run(_reloads_under_load(tmp_path))
    ledger = site.ledger
    _tell(site, f"{site.document.number} reloads; before {before}; after {after}")
    assert ledger.broken == []
    assert ledger.explained.total() == ledger.spared.total() == 0
    assert ledger.answered["websocket"] == 20 * (1 + bool(MORE_RELOADS)), "each lasts for all of it"
    assert ledger.answered["long_upload"] >= 4
    assert (before.snapshots, after.snapshots) == (1, 1)
    assert after.gateway.growth(before.gateway) == []
    assert after.supervisor.growth(before.supervisor) == []


def test_a_thousand_reloads_leave_nothing_behind(front: Front, upstream: UpstreamFactory):
    """Each has twenty routes, one of them new; what was taken after the first few is what is taken at the end."""
    app = upstream()

    def reload(numbers: range) -> None:
        for number in numbers:
            routes = [ROUTE.format(name) for name in range(number, number + 20)]
            gateway.reload_toml(configuration(app, more="".join(routes)))

    gateway = front(app)
    with Load(gateway.address(), clients=4) as load:
        reload(range(WARMING))
        load.more(200)
        before = Taken.by(gateway.gateway_pid), Taken.by(gateway.pid)
        reload(range(WARMING, WARMING + 1000))
        load.more(200)
        until(lambda: not Taken.by(gateway.gateway_pid).growth(before[0]))
        assert Taken.by(gateway.pid).growth(before[1]) == []
    assert load.failures == []


async def _websocket(client: Client) -> None:
    await streams.long_websocket(client, DRAIN)


async def _upload(client: Client) -> None:
    await bodies.long_upload(client, DRAIN / 2)


LOAD_OF_ALL = (
    Kind(plain.small, 64, 0.25),
    Kind(plain.newcomer, 40, 0.1),
    Kind(_websocket, 20, 0.0),
    Kind(_upload, 4, 0.0),
)
"""At least 200 new connections a second; what lasts knows what an upgrade means."""


async def _all_of_it(folder: Path) -> Site:
    upgrades = max(1, RELOADS // 20)
    async with _under_load(folder, kinds=LOAD_OF_ALL) as (site, traffic):
        await reloads.put(site, site.next(drain=DRAIN))
        for _ in range(upgrades):
            await _reload(site, RELOADS // upgrades)
            await kills.upgrade(site)
        await kills.supervisor(site)
        await kills.gateway(site)
        await _reload(site, 1)
        await traffic.pause()
        await _look_for_lines(site)
        return site


@pytest.mark.timeout(100 + 15 * RELOADS)
def test_reloads_upgrades_and_kills_under_load(tmp_path: Path):
    """Nothing fails but what was in flight in the gateway process that was killed."""
    site = asyncio.run(_all_of_it(tmp_path))
    _tell(site, f"{site.document.number} reloads, {site.gateways - 2} upgrades, a gateway and a supervisor killed")
    ledger = site.ledger
    assert ledger.broken == []
    assert {"small", "newcomer", "websocket", "long_upload"} <= ledger.answered.keys()
    lasting = ledger.explained["websocket"] <= 20 and ledger.explained["long_upload"] <= 4
    assert lasting, "of one process, once"
    assert ledger.explained["small"] + ledger.explained["newcomer"] <= 16, "those that were in flight just then"


async def _fewer_and_more_workers(folder: Path) -> Site:
    async with _under_load(folder, size=0.2) as (site, traffic):
        for workers in (WORKERS // 2, WORKERS):
            with site.incidents.during("workers", *reloads.FEWER):
                await reloads.put(site, site.next(workers=workers))
            await asyncio.sleep(APART)
        await traffic.pause()
        await _look_for_lines(site)
        return site


def test_fewer_and_more_workers_under_load(tmp_path: Path):
    """Connections of a worker that goes end between two requests, or last; new ones do not wait."""
    site = asyncio.run(_fewer_and_more_workers(tmp_path))
    _tell(site, "workers 4 -> 2 -> 4")
    assert site.ledger.broken == []
    assert site.ledger.explained.total() == 0
    assert site.ledger.times["newcomer"].share(0.95) < LATE
    assert site.ledger.times["newcomer"].most < STUCK


def _tell(site: Site, what: str) -> None:
    """Write the figures, for who runs it by hand (-s)."""
    times = site.ledger.times["newcomer"]
    p50, p99, most = (1000 * seconds for seconds in (times.share(0.5), times.share(0.99), times.most))
    waits = f"{times.count} newcomers waited p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms"
    ledger = site.ledger
    sys.stdout.write(f"\n{what}\n{dict(ledger.answered)} in {site.incidents.elapsed():.0f} s\n{waits}\n")
    sys.stdout.write(f"failed: {dict(ledger.explained)}; asked again: {dict(ledger.spared)}\n")
