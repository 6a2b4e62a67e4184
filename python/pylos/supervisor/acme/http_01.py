"""http-01 (RFC 8555 section 8.3): a token is asked for on port 80, its key authorization is the answer.

Whichever machine is asked, the answer is in the storage that they share.
"""

from __future__ import annotations

import time

from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads

PATH = "/.well-known/acme-challenge/"
"""Behind it stands the token."""


class HttpSolver:
    """Puts answers into the storage."""

    def __init__(self, storage: Storage, threads: Threads) -> None:
        self._storage = storage
        self._threads = threads

    async def present(self, proof: Proof) -> None:
        record = AnswerRecord(
            kind="http-01", key=proof.token, domain=proof.domain, value=proof.key_authorization, at=time.time()
        )
        await self._threads.run(self._storage.keep_answer, record)

    async def clean(self, proof: Proof) -> None:
        await self._threads.run(self._storage.drop_answer, "http-01", proof.token)
