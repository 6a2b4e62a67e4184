"""What is kept: a folder, of one machine or of several.

    accounts/LABEL.json              who we are at an authority, and the key
    certificates/LABEL.json          chain and key
    answers/KIND/LABEL.json          what validators are to be answered, by any of the machines
    states/LABEL.json                failures, and when authorities want to be asked
    local/root.json                  the root of the authority for development
    locks/LABEL/NUMBER               see locks
    broken/                          files that were no good, set aside

All methods block, and raise StorageError for what the file system refuses, and for files of another version of Pylos. A
file that is broken is set aside and told to `on_broken`; then it is as if it had not been there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pylos.supervisor.acme import files
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.errors import StorageError
from pylos.supervisor.acme.keys import read_key
from pylos.supervisor.acme.locks import LEASE, Locks, clock
from pylos.supervisor.acme.records import (
    FORMAT,
    AccountRecord,
    AnswerRecord,
    CertificateRecord,
    Kind,
    Record,
    StateRecord,
)

R = TypeVar("R", bound=Record)
T = TypeVar("T")
STALE = 86400.0
"""Seconds after which an answer is a leftover: nobody here waits for an authority for longer than minutes."""
MOST_ANSWERS = 1000
"""Of a kind, in one look."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that was no good."""

    file: Path
    aside: Path
    """Where it is now."""
    why: str

    def __str__(self) -> str:
        return f"{self.file} is broken ({self.why}); it was set aside as {self.aside}"


class Storage:
    """A folder in use; it is made when something is first written."""

    def __init__(
        self,
        folder: Path,
        on_broken: Callable[[Broken], None] = lambda _: None,
        lease: float = LEASE,
        clock: Callable[[], float] = clock,
    ) -> None:
        self.folder = folder
        self.locks = Locks(folder / "locks", lease, clock)
        self._on_broken = on_broken
        self._answers: dict[Kind, dict[str, tuple[files.Stamp, AnswerRecord | None]]] = {}

    def account(self, directory: str, key_id: str | None = None) -> AccountRecord | None:
        """Give who we are at an authority, by the id of an external account if there is one."""

        def parse(data: bytes) -> AccountRecord:
            record = _record(data, AccountRecord, lambda record: record.directory == directory)
            read_key(record.key)
            return record

        return self._read(self._account_path(directory, key_id), parse)

    def keep_account(self, record: AccountRecord, key_id: str | None = None) -> None:
        self._write(self._account_path(record.directory, key_id), record)

    def certificate(self, name: str) -> Certificate | None:
        """Give a certificate whose key fits."""
        return self._certificate(self._path("certificates", name), name)

    def keep_certificate(self, certificate: Certificate) -> None:
        self._keep_certificate(self._path("certificates", certificate.name), certificate)

    def root(self) -> Certificate | None:
        """Give the root of the authority for development."""
        return self._certificate(self.folder / "local" / "root.json", None)

    def keep_root(self, root: Certificate) -> None:
        self._keep_certificate(self.folder / "local" / "root.json", root)

    def _certificate(self, path: Path, name: str | None) -> Certificate | None:
        def parse(data: bytes) -> Certificate:
            record = _record(data, CertificateRecord, lambda record: name in (None, record.name))
            return Certificate.read(record.name, record.chain, record.key, record.source, is_root=name is None)

        return self._read(path, parse)

    def _keep_certificate(self, path: Path, made: Certificate) -> None:
        self._write(path, CertificateRecord(name=made.name, source=made.source, chain=made.chain, key=made.key))

    def answer(self, kind: Kind, key: str) -> AnswerRecord | None:
        """Give what a validator is to be answered that asks for a token or a server name."""
        wanted = (kind, key)
        return self._read(
            self._answer_path(kind, key),
            lambda data: _record(data, AnswerRecord, lambda record: (record.kind, record.key) == wanted),
        )

    def keep_answer(self, record: AnswerRecord) -> None:
        self._write(self._answer_path(record.kind, record.key), record)

    def drop_answer(self, kind: Kind, key: str) -> None:
        files.remove(self._answer_path(kind, key))

    def answers(self, kind: Kind, now: float) -> list[AnswerRecord]:
        """List what somebody may wait for, the youngest first; of files that did not change what they held is known."""
        folder = self.folder / "answers" / kind
        youngest = sorted(files.stamps(folder).items(), key=lambda file: file[1], reverse=True)[:MOST_ANSWERS]
        before, known = self._answers.get(kind, {}), {}
        for name, stamp in youngest:
            seen = before.get(name)
            if seen is None or seen[0] != stamp:
                seen = stamp, self._listed(folder / name, kind)
            known[name] = seen
        self._answers[kind] = known
        return [record for _, record in known.values() if record is not None and record.at + STALE >= now]

    def leftovers(self, kind: Kind, now: float) -> list[AnswerRecord]:
        """List answers that nobody waits for any more: who made them has died."""
        folder = self.folder / "answers" / kind
        found = [self._listed(folder / name, kind) for name in files.names(folder)]
        return [record for record in found if record is not None and record.at + STALE < now]

    def _listed(self, path: Path, kind: Kind) -> AnswerRecord | None:
        """Give one of several answers; what another version has written holds up no other."""
        with suppress(FormatError):
            return self._read(path, lambda data: _record(data, AnswerRecord, lambda record: record.kind == kind))
        return None

    def drop_unfinished(self, now: float) -> None:
        """Remove files that somebody has not written to their end, and that nobody writes any more: they hold keys."""
        for path in files.unfinished(self.folder, now - STALE):
            files.remove(path)

    def state(self, name: str) -> StateRecord:
        """Give what is known about a certificate; nothing, at first."""
        path = self._path("states", name)
        record = self._read(path, lambda data: _record(data, StateRecord, lambda record: record.name == name))
        return record or StateRecord(name=name)

    def keep_state(self, record: StateRecord) -> None:
        self._write(self._path("states", record.name), record)

    def _path(self, folder: str, name: str) -> Path:
        return self.folder / folder / f"{files.label(name)}.json"

    def _answer_path(self, kind: Kind, key: str) -> Path:
        return self.folder / "answers" / kind / f"{files.label(key)}.json"

    def _account_path(self, directory: str, key_id: str | None) -> Path:
        return self._path("accounts", directory if key_id is None else f"{directory} {key_id}")

    def _write(self, path: Path, record: Record) -> None:
        files.write(path, record.model_dump_json(indent=1).encode() + b"\n")

    def _read(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        """Read what is in a file; what is broken (ValueError) twice in a row is set aside."""
        before: bytes | None = None
        while (data := files.read(path)) is not None:
            try:
                return parse(data)
            except _OtherFormatError as error:
                raise FormatError(path, error.number) from None
            except ValueError as error:
                if data == before:
                    self._set_aside(path, str(error))
                    return None
                before = data  # it may be in the middle of being replaced, and good by now
        return None

    def _set_aside(self, path: Path, why: str) -> None:
        aside = files.set_aside(path, self.folder / "broken")
        if aside is not None:
            self._on_broken(Broken(path, aside, why))


class FormatError(StorageError):
    """A file is of another version of Pylos: it is good, and stays where it is."""

    def __init__(self, path: Path, number: int) -> None:
        hint = "let all machines that share the storage run the same version"
        super().__init__(f"{path} was written by another version of Pylos (format {number})\n      = {hint}")


class _OtherFormatError(Exception):
    """The same, before it is known of which file."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _record(data: bytes, kind: type[R], fits: Callable[[R], bool]) -> R:
    """Read a record that is about what its file's name says. Raises ValueError, _OtherFormatError."""
    try:
        record = kind.model_validate_json(data)
    except ValidationError as error:
        with suppress(ValueError, RecursionError):
            said = json.loads(data)
            number = said.get("format") if isinstance(said, dict) else None
            if isinstance(number, int) and number != FORMAT:
                raise _OtherFormatError(number) from None
        raise ValueError(_reason(error)) from None
    if not fits(record):
        raise ValueError("it is about something else than its name says")
    return record


def _reason(error: ValidationError) -> str:
    """Say what is wrong without a word of what is in the file: it may be a key."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
