"""What the gateway and its supervisor take: memory, descriptors, threads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from soak.served import Served, metrics

GROWTH = 0.10
"""By how much what is taken may be above what was taken after warming up."""
SLACK = {"rss": 2 << 20, "descriptors": 8, "threads": 2}
"""What is nothing in small figures."""
SHORT_SLACK = {**SLACK, "rss": 10 << 20}
"""In a run that is too short to have met its highest load before it is looked at: an allocator keeps that."""
SHORT = 300.0
"""Seconds of such a run."""
SETTLE_SECONDS = 40.0


@dataclass(frozen=True)
class Taken:
    """What one process takes: resident bytes, open descriptors, threads."""

    rss: int
    descriptors: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> Taken:
        """Look. Raises OSError when the process is gone."""
        folder = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        if "VmRSS" not in status:
            raise ProcessLookupError(f"process {pid} has ended")  # and was not waited for yet
        return cls(int(status["VmRSS"].split()[0]) << 10, len(list((folder / "fd").iterdir())), int(status["Threads"]))

    def growth(self, before: Taken, slack: Mapping[str, int] = SLACK) -> list[str]:
        """Tell in what it is more than it was before, beyond what is allowed."""
        return [
            f"{name} {old} -> {new}"
            for name, least in slack.items()
            if (new := getattr(self, name)) > max((old := getattr(before, name)) * (1 + GROWTH), old + least)
        ]


@dataclass(frozen=True)
class Sample:
    """A look at all of it."""

    gateway: Taken
    supervisor: Taken
    snapshots: float
    """Configurations in use, a worker."""
    panics: float
    lines_dropped: float


async def look(served: Served, admin_port: int) -> Sample:
    """Take a sample. Raises OSError or PylosError between two gateway processes."""
    found = await metrics(admin_port)
    holders = found["pylos_workers"] + 1  # and the one that answers this
    return Sample(
        Taken.by(await served.gateway_pid()),
        Taken.by(served.process.pid),
        found["pylos_config_snapshots"] / holders,
        found["pylos_panics_total"],
        found["pylos_log_lines_dropped_total"],
    )


async def settled(served: Served, admin_port: int) -> Sample:
    """Look until everything has come to rest: nobody is connected, and nothing gets less any more."""
    sample = await look(served, admin_port)
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                await asyncio.sleep(3)
                before, sample = sample, await look(served, admin_port)
                connections = (await served.status()).get("connections", 0)
                if connections <= 1 and sample.snapshots == 1 and before == sample:
                    break
    return sample
