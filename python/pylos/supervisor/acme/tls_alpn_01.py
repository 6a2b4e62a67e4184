"""tls-alpn-01 (RFC 8737): a handshake with the protocol `acme-tls/1` gets a certificate that has the proof."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import timedelta
from weakref import WeakValueDictionary

from cryptography import x509

from pylos.config.x509 import key_text
from pylos.supervisor.acme.domains import server_name
from pylos.supervisor.acme.keys import new_key
from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.selfsigned import signed_by_itself
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads

PROTOCOL = "acme-tls/1"
"""By ALPN; a server that is offered it, and has an answer, must choose it (section 3)."""
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
LIFE = timedelta(days=7)


class TlsAlpnSolver:
    """Puts answers into the storage, by the name that a validator asks for."""

    def __init__(self, storage: Storage, threads: Threads) -> None:
        self._storage = storage
        self._threads = threads

    async def present(self, proof: Proof) -> None:
        name, value = server_name(proof.domain), proof.key_authorization
        record = AnswerRecord(kind="tls-alpn-01", key=name, domain=proof.domain, value=value, at=time.time())
        await self._threads.run(self._storage.keep_answer, record)

    async def clean(self, proof: Proof) -> None:
        await self._threads.run(self._clean, server_name(proof.domain), proof.key_authorization)

    def _clean(self, name: str, value: str) -> None:
        """Take it away, unless another machine has put its own in the place."""
        found = self._storage.answer("tls-alpn-01", name)
        if found is not None and found.value == value:
            self._storage.drop_answer("tls-alpn-01", name)


class Turns:
    """Of several orders for one domain, one at a time: a validator is given one answer by server name."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, names: Iterable[str]) -> list[asyncio.Lock]:
        """Wait until nobody else has any of these; gives what is to be released."""
        taken: list[asyncio.Lock] = []
        try:
            for name in sorted(set(names)):  # all in one order: else two could wait for each other
                lock = self._locks.setdefault(name, asyncio.Lock())
                await lock.acquire()
                taken.append(lock)
        except BaseException:
            for lock in taken:
                lock.release()
            raise
        return taken


def answer_certificate(proof: Proof) -> tuple[str, str]:
    """Make the certificate (PEM) of a proof, and its key.

    It has one name, and the digest as a critical extension, a DER OCTET STRING (section 3).
    """
    key = new_key("ecdsa")
    identifier = x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + proof.digest)
    chain = signed_by_itself(key, [proof.domain], now=time.time(), life=LIFE, extra=[(identifier, True)])
    return chain, key_text(key)
