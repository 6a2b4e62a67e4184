"""What attempts and processes that died have left: answers, records for dns-01, files that were being written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pylos.supervisor.acme.dns_01 import DnsSolver
from pylos.supervisor.acme.errors import AcmeError
from pylos.supervisor.acme.records import Kind
from pylos.supervisor.acme.settings import Dns
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads

EVERY = 86400.0
"""Seconds between two times of cleaning; what is younger than a day may still be waited for."""


async def clean(storage: Storage, threads: Threads, dns: Mapping[str, Dns], now: float) -> list[str]:
    """Take all that away; `dns` says how records are removed, for each domain without its `*.`.

    What cannot be taken away keeps nothing else from it: gives what went wrong.
    """
    errors: list[str] = []
    kinds: tuple[Kind, ...] = ("http-01", "tls-alpn-01")
    for kind in kinds:
        with _noted(errors):
            for record in await threads.run(storage.leftovers, kind, now):
                await threads.run(storage.drop_answer, kind, record.key)
    with _noted(errors):
        for record in await threads.run(storage.leftovers, "dns-01", now):
            name, _, value = record.key.partition(" ")
            if (how := dns.get(record.domain)) is not None:
                with _noted(errors):
                    await DnsSolver(how, storage, threads).take_away(name, value)
    with _noted(errors):
        await threads.run(storage.drop_unfinished, now)
    return errors


@contextmanager
def _noted(errors: list[str]) -> Iterator[None]:
    try:
        yield
    except AcmeError as error:
        errors.append(str(error))
