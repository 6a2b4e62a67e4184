"""http-01 (RFC 8555 section 8.3): a token is asked for on port 80, its key authorization is the answer.

Whichever machine is asked, the answer is in the storage that they share.
"""

from __future__ import annotations

import re
import time

from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads

PATH = "/.well-known/acme-challenge/"
"""Behind it stands the token."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")


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


def answer(storage: Storage, token: str) -> str | None:
    """Give what a validator is to be answered, as `application/octet-stream`; None (404) for what is no token of ours.

    Blocks while one file is looked for. Raises StorageError.
    """
    if TOKEN.fullmatch(token) is None:
        return None
    record = storage.answer("http-01", token)
    return None if record is None else record.value
