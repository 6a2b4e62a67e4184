"""The story of a run: start, warm up, look, do harm, calm down, look again, end, judge."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from pylos.errors import PylosError
from soak import report
from soak.actions import Action, reloads
from soak.chaos import Chaos, chosen
from soak.document import WORKERS
from soak.found import Found
from soak.kinds.policies import check_limit
from soak.options import Options
from soak.site import Site, open_site
from soak.traffic import Traffic
from soak.watch import Sample, look, settled

WARMING_RELOADS = 24
"""At most: more than the supervisor's history holds, so that it has grown as far as it may."""
WARMING_SHARE = 0.2
"""Of the time of chaos, at most."""
LOOK_SECONDS = 5.0
LOG_SECONDS = 0.5


def soak(options: Options) -> int:
    """Run it, and tell; gives the exit code."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        actions = chosen(options.only, options.without | options.absent)
    except ValueError as error:
        sys.stderr.write(f"soak: {error}\n")
        return 2
    report.say(f"soak: seed {options.seed}, {options.seconds:g} s, logs in {folder}")
    report.say(f"      what is done: {', '.join(actions)}")
    if options.absent:
        report.say(f"      what this gateway has no command for: {', '.join(sorted(options.absent))}")
    found = asyncio.run(_soak(options, folder, actions))
    sound = report.tell(found)
    if sound and options.folder is None:
        shutil.rmtree(folder)
    return 0 if sound else 1


async def _soak(options: Options, folder: Path, actions: dict[str, Action]) -> Found:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(options.seed, folder))
        found = Found(options, site, Chaos(site, actions, options.every))
        traffic = Traffic(site.ledger, site.document.port, options.seed, size=options.size)
        stack.push_async_callback(traffic.close)
        await stack.enter_async_context(_beside(_read_log(site)))
        began = time.monotonic()
        await _stages(found, traffic)
        check_limit(site.ledger, began, site.gateways)
        return found


async def _stages(found: Found, traffic: Traffic) -> None:
    site = found.site
    traffic.go()
    report.say("      warming up")
    await _warm_up(site, found.options.seconds * WARMING_SHARE)
    found.before = await _calm(site, traffic)
    traffic.go()
    report.say("      chaos")
    async with _beside(_watch(found)):
        await found.chaos.run(found.options.seconds)
    report.say("      calming down")
    found.after = await _calm(site, traffic)
    found.exit_code = await site.served.stop()
    site.log_lines.read()
    site.ledger.look_for_lines(last=True)


async def _warm_up(site: Site, seconds: float) -> None:
    """Do what makes it grow once."""
    end = time.monotonic() + seconds
    await reloads.workers(site)
    for _ in range(WARMING_RELOADS):
        await reloads.routes(site)
        if time.monotonic() > end:
            return


async def _calm(site: Site, traffic: Traffic) -> Sample:
    """Let everything come to its end, with the configuration that it had at first, and look at what is left."""
    await traffic.pause()
    await reloads.put(site, site.next(workers=WORKERS, routes=frozenset(), listeners=()))
    return await settled(site.served, site.document.admin_port)


async def _read_log(site: Site) -> None:
    while True:
        site.log_lines.read()
        site.ledger.look_for_lines()
        await asyncio.sleep(LOG_SECONDS)


async def _watch(found: Found) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(PylosError, OSError, EOFError, asyncio.IncompleteReadError):  # between two gateway processes
            sample = await look(found.site.served, found.site.document.admin_port)
            found.most_rss = max(found.most_rss, sample.gateway.rss)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something for the length of a block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
