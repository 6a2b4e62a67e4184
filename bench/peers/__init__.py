"""The proxies that are compared: one file each, with the same names in each (see `Peer`)."""

from types import ModuleType
from typing import Protocol, cast

from bench.job import Job, Site
from bench.peers import asyncio_peer, caddy, envoy, haproxy, haproxy_tcp, nginx, pylos
from bench.process import Process


class Peer(Protocol):
    """What the file of a peer offers."""

    NAME: str
    """As the table names it."""
    FORWARDS_FIELDS: bool
    """False: it only passes bytes on, and is excused from the job's header fields."""

    def version(self) -> str | None:
        """None: not installed."""

    def start(self, job: Job, site: Site) -> Process:
        """Begins; whether it answers is the caller's to wait for."""


def _peers(**modules: ModuleType) -> dict[str, Peer]:
    # A module is a Peer; mypy checks each in tests/unit/bench/test_peers.py, where they stand one by one.
    return {name.replace("_", "-"): cast("Peer", module) for name, module in modules.items()}


PEERS = _peers(
    nginx=nginx,
    haproxy=haproxy,
    pylos=pylos,
    haproxy_tcp=haproxy_tcp,
    envoy=envoy,
    caddy=caddy,
    asyncio=asyncio_peer,
)
