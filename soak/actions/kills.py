"""Processes that are killed or replaced: the gateway, a lane, the supervisor; and its log, opened again."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from signal import SIGKILL

from soak.incidents import Effect
from soak.served import PATIENCE, until
from soak.site import Site


async def gateway(site: Site) -> str:
    """Kill the gateway process; another one takes its place."""
    pid = await site.served.gateway_pid()
    with site.incidents.during("kill_gateway", Effect.ENDS_REQUESTS, Effect.CLOSES_KEPT, Effect.LOSES_LANES):
        os.kill(pid, SIGKILL)
        await until(lambda: _ended(pid), PATIENCE, f"gateway process {pid} ends")
    site.gateways += 1
    return f"gateway process {pid} -> {await site.served.gateway_pid(other_than=pid)}"


async def lane(site: Site) -> str:
    """Kill the lane in use; another one takes its place. Older ones only finish what they have."""
    lanes = _lanes(site)
    if not lanes:
        return "there was no lane"
    pid = lanes[-1]
    with site.incidents.during("kill_lane", Effect.LOSES_LANES):
        os.kill(pid, SIGKILL)
        await until(lambda: _ended(pid), PATIENCE, f"lane {pid} ends")

        await until(lambda: len(set(_lanes(site)) - {*lanes}) > 0, PATIENCE, "another lane")
    return f"lane {pid}"


async def supervisor(site: Site) -> str:
    """Kill the supervisor and start another one: it adopts the gateway process, which has served on."""
    served = site.served
    before, killed = await served.gateway_pid(), served.process
    with site.incidents.during("kill_supervisor", Effect.LOSES_LANES):
        killed.kill()
        await killed.wait()
        await asyncio.sleep(site.chance.random() * 2)
        ready = await served.start_supervisor()
    if ready["gateway"] != before:
        raise AssertionError(f"gateway process {before} was not adopted: {ready['gateway']} serves")
    await site.uses(site.document)
    return f"supervisor {killed.pid} -> {served.process.pid}"


async def upgrade(site: Site) -> str:
    """Replace the program: a new gateway process on the same sockets, while the old one finishes."""
    before = await site.served.gateway_pid()
    with site.incidents.during("upgrade", Effect.CLOSES_KEPT, Effect.MOVES_LIMITS, Effect.DRAINS):
        await _command(site, "upgrade")
        after = await site.served.gateway_pid(other_than=before)
    site.gateways += 1
    return f"gateway process {before} -> {after}"


async def reopen(site: Site) -> str:
    """Rename the log and have it opened again, as rotation does."""
    log = site.document.log
    aside = log.with_name(f"{log.stem}-until-{site.incidents.elapsed():.0f}s.log")
    log.rename(aside)
    site.log_lines.renamed(aside, log)
    await _command(site, "reopen")
    return aside.name


async def _command(site: Site, command: str) -> None:
    words = [sys.executable, "-m", "pylos", command, "-n", site.served.name]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(process.communicate(), 2 * PATIENCE)  # it starts programs, one after the other
    if process.returncode:
        raise AssertionError(f"pylos {command}: exit code {process.returncode}: {told.decode(errors='replace')[:500]}")


def _lanes(site: Site) -> list[int]:
    """Give the processes of policies in Python, the youngest last.

    Whose children they are tells nothing: supervisors come and go.
    """
    found = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_lane(entry, site)]
    return [int(entry.name) for entry in sorted(found, key=_started)]


def _started(process: Path) -> int:
    """Give when a process has started, in ticks since boot; 0 when it is gone."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def _is_lane(process: Path, site: Site) -> bool:
    try:
        ours = (process / "cwd").readlink() == site.served.folder
        words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return False
    # One that only tells what its policies are, for a check, has no gateway: a single descriptor.
    descriptors = [word for word in words[-2:] if word.isdigit()]
    return ours and len(descriptors) == 2 and any(b"pylos.policy.process" in word for word in words)


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True
