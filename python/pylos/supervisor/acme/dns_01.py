"""dns-01 (RFC 8555 section 8.4): a TXT record below the domain. The only proof for wildcards.

A record that is made is written down before that, so that it is taken away even if this process dies: by the next one.
"""

from __future__ import annotations

import time
from typing import Protocol

from pylos.supervisor.acme.dns_command import Command
from pylos.supervisor.acme.dns_update import Update
from pylos.supervisor.acme.dns_visible import until_visible
from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.settings import Dns, DnsUpdate
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads


class Records(Protocol):
    """A way to make records. Adding what is there and removing what is not are no errors; other values stay."""

    async def add(self, name: str, value: str) -> None:
        """Make a TXT record. Raises AcmeError."""

    async def remove(self, name: str, value: str) -> None:
        """Take it away. Raises AcmeError."""


class DnsSolver:
    """Makes records, and waits until they are seen."""

    def __init__(self, dns: Dns, storage: Storage, threads: Threads) -> None:
        self._dns = dns
        self._storage = storage
        self._threads = threads
        self._records: Records = (
            Update(dns.by, threads, dns.resolvers) if isinstance(dns.by, DnsUpdate) else Command(dns.by)
        )

    async def present(self, proof: Proof) -> None:
        name, value = proof.record
        key = f"{name} {value}"
        record = AnswerRecord(
            kind="dns-01", key=key, domain=proof.domain, value=proof.key_authorization, at=time.time()
        )
        await self._threads.run(self._storage.keep_answer, record)
        await self._records.add(name, value)
        if self._dns.patience > 0:
            await until_visible(name, value, self._dns.resolvers, self._dns.patience, self._threads)

    async def clean(self, proof: Proof) -> None:
        await self.take_away(*proof.record)

    async def take_away(self, name: str, value: str) -> None:
        """Remove a record, and forget that it was there. Raises AcmeError; then it is not forgotten."""
        await self._records.remove(name, value)
        await self._threads.run(self._storage.drop_answer, "dns-01", f"{name} {value}")
