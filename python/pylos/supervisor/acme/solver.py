"""What a way to prove a domain has to do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from josepy.b64 import b64encode

from pylos.supervisor.acme.settings import ChallengeType


@dataclass(frozen=True, slots=True)
class Proof:
    """What an authority is to find."""

    type: ChallengeType
    domain: str
    """A domain without `*.`, or an address."""
    token: str
    key_authorization: str
    """RFC 8555 section 8.1."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key authorization, 32 bytes."""
        return hashlib.sha256(self.key_authorization.encode()).digest()

    @property
    def record(self) -> tuple[str, str]:
        """Name and value of the TXT record for dns-01 (RFC 8555 section 8.4)."""
        return f"_acme-challenge.{self.domain}", b64encode(self.digest).decode()


class Solver(Protocol):
    """One type of challenge. What is presented is there before the authority is told; cleaning may come twice."""

    async def present(self, proof: Proof) -> None:
        """Let an authority find it, wherever it looks. Raises AcmeError."""

    async def clean(self, proof: Proof) -> None:
        """Take it away. Raises AcmeError."""
