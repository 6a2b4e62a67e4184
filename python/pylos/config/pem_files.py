"""Files of PEM that a document names, each read once, and what is said about what is wrong in them.

What cannot be used is one error (P122) at the key that names it, with the file and the line in it; what holds no more,
not yet or not for long is a warning (P123). Nothing that is said has a part of a private key.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pylos import contents
from pylos.config.pem import Block, PemError, blocks_of
from pylos.config.problems import Report
from pylos.errors import KeyPath, Place
from pylos.model import Secret

MOST_BYTES = 1 << 20
"""A larger file holds no certificate."""
MOST_BYTES_OF_LISTS = 64 << 20
"""Lists of what was revoked grow with their authorities."""


@dataclass(frozen=True)
class Source:
    """Where a certificate, a key or a list is said to be."""

    path: KeyPath
    """The key of the document."""
    file: Path | None
    """None: a variable of the environment, or what an object of Python holds."""
    text: str | None = field(default=None, repr=False)
    """Of a secret, which was read with the document."""

    def __str__(self) -> str:
        return "the secret" if self.file is None else f"`{self.file}`"


def named(path: KeyPath, said: str | Secret | Sequence[str | Secret], report: Report) -> list[Source]:
    """Find the file that a key says, or the files of its list."""
    if isinstance(said, str | Secret):
        return [found(path, said, report)]
    return [found((*path, index), one, report) for index, one in enumerate(said)]


def found(path: KeyPath, said: str | Secret, report: Report) -> Source:
    """Find one: a relative path starts at the folder of the file that has it, but for secrets."""
    if isinstance(said, Secret):
        return Source(path, None if said.file is None else Path(said.file), said.reveal())
    return Source(path, Path(report.places.place(report.written(path), "value").file).parent / said)


class Files:
    """Reads files of PEM, each once."""

    def __init__(self, held: contents.Held | None = None) -> None:
        self._held: contents.Held = {} if held is None else held
        self._blocks: dict[Path, list[Block] | PemError] = {}
        self._named: dict[Path, None] = {}

    @property
    def named(self) -> list[Path]:
        """All files that were asked for."""
        return list(self._named)

    def know(self, *sources: Source) -> None:
        """Remember which files are named."""
        for source in sources:
            if source.file is not None:
                self._named[source.file] = None
                if source.text is not None:
                    self._held.setdefault(source.file, digest_of_secret(source.file, source.text))

    def blocks(self, source: Source, most: int = MOST_BYTES) -> list[Block]:
        """Give the blocks of a file or of a secret. Raises PemError."""
        if source.text is not None or source.file is None:
            return blocks_of(source.text or "")
        if source.file not in self._blocks:
            try:
                self._blocks[source.file] = blocks_of(text_of(source.file, most, self._held))
            except PemError as error:
                self._blocks[source.file] = error
        found = self._blocks[source.file]
        if isinstance(found, PemError):
            raise PemError(found.message, found.line, found.hint)
        return found


def digest_of_secret(file: Path, text: str) -> bytes:
    """Give the digest of a secret's file, or another one where it does not hold any more what was read."""
    held: contents.Held = {}
    with suppress(OSError):
        if contents.read(file, MOST_BYTES, held).rstrip(b"\r\n") != text.encode(errors="replace").rstrip(b"\r\n"):
            return contents.digest_of_data(b"", b"changed")
    return held[file]


def text_of(file: Path, most: int, held: contents.Held) -> str:
    """Read a file as text; what is no ASCII in it is no part of PEM. Raises PemError."""
    try:
        data = contents.read(file, most, held)
    except contents.NoFileError:
        raise PemError("is no file") from None
    except OSError as error:
        hints = {
            errno.ENOENT: "a relative path starts at the folder of the configuration",
            errno.EACCES: "the user that the gateway runs as must be able to read it ([pylos] user)",
        }
        raise PemError(f"cannot be read: {error.strerror}", hint=hints.get(error.errno or 0)) from None
    if not data.strip():
        raise PemError("is empty")
    if len(data) > most:
        raise PemError(f"is larger than {most >> 20} MiB, so it holds no certificate")
    if data[:1] == b"\x30" and b"-----BEGIN" not in data:
        hint = "write it in PEM: openssl x509 -inform der -in FILE -out FILE.pem; of PKCS #12: openssl pkcs12 -nodes"
        raise PemError("is binary (DER or PKCS #12)", hint=hint)
    return data.decode(errors="replace")


def report_fault(source: Source, error: PemError, report: Report) -> None:
    """Report what cannot be used, at the key of the document, with the place in the file."""
    where = f"{source}, line {error.line}: " if error.line else f"{source} "
    path, files = report.written(source.path), at(source, error.line)
    report.add("P122", path, where + error.message, hint=error.hint, files=files)


def report_worry(source: Source, line: int, worry: str, hint: str, report: Report) -> None:
    """Warn of what does not hold now, or not for long: in `worry`, `{}` is where it stands."""
    message = worry.format(f"in {source}, line {line},")
    report.add("P123", report.written(source.path), message, hint=hint, severity="warning", files=at(source, line))


def at(source: Source, line: int) -> list[tuple[Place, str]]:
    """Give the place in a file. What stands there is not shown: it may be a key."""
    return [(Place(str(source.file), line), "")] if line and source.file is not None else []
