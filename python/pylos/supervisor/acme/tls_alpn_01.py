"""tls-alpn-01 (RFC 8737): a handshake with the protocol `acme-tls/1` gets a certificate that has the proof."""

from __future__ import annotations

import time
from datetime import timedelta

from cryptography import x509

from pylos.supervisor.acme.domains import server_name
from pylos.supervisor.acme.keys import key_pem, new_key
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
        await self._threads.run(self._storage.drop_answer, "tls-alpn-01", server_name(proof.domain))


def answer_certificate(proof: Proof) -> tuple[str, str]:
    """Make the certificate (PEM) of a proof, and its key.

    It has one name, and the digest as a critical extension, a DER OCTET STRING (section 3).
    """
    key = new_key("ecdsa")
    identifier = x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + proof.digest)
    chain = signed_by_itself(key, [proof.domain], now=time.time(), life=LIFE, extra=[(identifier, True)])
    return chain, key_pem(key)
