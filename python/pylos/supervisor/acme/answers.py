"""What validators are answered: all that is stored, by whichever machine, as the gateway processes are to know it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.tls_alpn_01 import answer_certificate

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
KEY_AUTHORIZATION = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,256}")
LOOK = 0.5
"""Seconds between two looks, by which `SEEN` is reckoned."""
SEEN = 2.0
"""Seconds after which what was stored is known everywhere: two looks, and what they take of a storage that is slow."""


@dataclass(frozen=True, slots=True)
class AnswerCertificate:
    """What a handshake with `acme-tls/1` gets (RFC 8737 section 3)."""

    names: tuple[str, ...]
    chain: str
    """PEM."""
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answers:
    """The full set; it equals the former one where nothing has changed."""

    tokens: Mapping[str, str] = field(default_factory=dict)
    """Key authorizations (RFC 8555 section 8.1) by the tokens of http-01."""
    certificates: Mapping[str, AnswerCertificate] = field(default_factory=dict)
    """By the server name that is asked for."""

    def as_json(self) -> dict[str, Any]:
        """Give both as plain values: `tokens`, and `certificates` of `names`, `chain` and `key`."""
        certificates = {
            name: {"names": list(one.names), "chain": one.chain, "key": one.key}
            for name, one in self.certificates.items()
        }
        return {"tokens": dict(self.tokens), "certificates": certificates}


class StoredAnswers:
    """Looks at the answers of a storage. A look blocks, costs two folders where nothing has changed, and is bounded."""

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._now = now
        self._made: dict[AnswerRecord, AnswerCertificate] = {}

    def look(self) -> Answers:
        """Give all that somebody may ask for now; what is no answer is passed over. Raises StorageError."""
        now = self._now()
        tokens = {one.key: one.value for one in self._storage.answers("http-01", now) if _is_sound(one)}
        kept, self._made = self._made, {}
        certificates = {}
        for one in self._storage.answers("tls-alpn-01", now):
            with suppress(ValueError):  # what is no domain has no certificate
                self._made[one] = kept[one] if one in kept else _certificate(one)
                certificates[one.key] = self._made[one]
        return Answers(tokens, certificates)


def _is_sound(record: AnswerRecord) -> bool:
    return bool(TOKEN.fullmatch(record.key) and KEY_AUTHORIZATION.fullmatch(record.value))


def _certificate(record: AnswerRecord) -> AnswerCertificate:
    chain, key = answer_certificate(Proof("tls-alpn-01", record.domain, "", record.value))
    return AnswerCertificate((record.key,), chain, key)
