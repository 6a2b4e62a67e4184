"""The certificates and keys of `[tls.NAME]`: read when a configuration is checked, sound or told what is wrong.

What cannot be used is one error (P122) at the key that names it, with the file and the line in it; what holds no more,
not yet or not for long is a warning (P123). Nothing that is said has a part of a private key.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from pylos.config import x509
from pylos.config.check import Loaded
from pylos.config.pem import Block, Pair, PemError, blocks_of
from pylos.config.problems import Report
from pylos.errors import KeyPath, Place
from pylos.model import Secret, Tls

MOST_BYTES = 1 << 20
"""A larger file holds no certificate."""


@dataclass
class Shown:
    """What was read."""

    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    """By name of `tls`, in the order of `cert`; those of a table in which something is wrong are not there."""
    files: list[Path] = field(default_factory=list)
    """All files that are named: to change one of them is to change the configuration."""


@dataclass(frozen=True)
class Source:
    """Where a certificate or a key is said to be."""

    path: KeyPath
    """The key of the document."""
    file: Path | None
    """None: a variable of the environment, or what an object of Python holds."""
    text: str | None = field(default=None, repr=False)
    """Of a secret, which was read with the document."""

    def __str__(self) -> str:
        return "the secret" if self.file is None else f"`{self.file}`"


@dataclass
class Entry:
    """A certificate and its key, as far as they could be read."""

    cert: Source
    key: Source
    chain: list[x509.Link] = field(default_factory=list)
    private: PrivateKeyTypes | None = None

    @property
    def cert_identity(self) -> bytes | None:
        """The certificate's public key."""
        return x509.identity(x509.public_key(self.chain[0].certificate)) if self.chain else None

    @property
    def key_identity(self) -> bytes | None:
        """The same of the private key."""
        return x509.identity(self.private.public_key()) if self.private is not None else None

    @property
    def pair(self) -> Pair | None:
        """Both as the gateway takes them."""
        if not self.chain or self.private is None:
            return None
        names = x509.alternative_names(self.chain[0].certificate) or []
        return Pair(names, x509.chain_text(self.chain), x509.key_text(self.private), str(self.cert.file))


def read_certificates(tables: Mapping[str, Tls], report: Report) -> Shown:
    """Read what all tables name, and report what cannot be used."""
    entries = {name: list(entries_of(name, table, report)) for name, table in tables.items()}
    sources = [source for found in entries.values() for entry in found for source in (entry.cert, entry.key)]
    files = dict.fromkeys(source.file for source in sources if source.file is not None)
    shown = Shown(files=[file for file in files if can_be(file)])
    # A table that could not be read whole may not say what it was meant to say.
    whole = {name: found for name, found in entries.items() if ("tls", name) not in report.tables}
    reader = Reader(report)
    for entry in (entry for found in whole.values() for entry in found):
        reader.read(entry)
    check_pairs([entry for found in whole.values() for entry in found], report)
    for name, found in whole.items():
        if not any(path[:2] == ("tls", name) for path in report.errors):
            shown.pairs[name] = [entry.pair for entry in found if entry.pair is not None]
    return shown


def listed(loaded: Loaded) -> Iterator[dict[str, Any]]:
    """List the certificates of a configuration as plain values, in the order of the tables.

    `tls`, `file`, `listeners`, `names`, `key`, `issuer`, `not_before`, `not_after`, `serial`, `sha256`, and as `note`
    what the certificate or one behind it is to be warned of, else null.
    """
    listeners = loaded.table["listen"].items()
    for name, pairs in loaded.pairs.items():
        using = [listener for listener, listen in listeners if name in listen["tls"]]
        for pair in pairs:
            notes = [worry for _, worry in x509.worries(x509.chain_of(blocks_of(pair.chain)))]
            told = x509.about_chain(pair.chain).as_json()
            yield {"tls": name, "file": pair.file, "listeners": using, **told, "note": next(iter(notes), None)}


def entries_of(name: str, table: Tls, report: Report) -> Iterator[Entry]:
    """List the certificates of a table, each with its key."""
    at: KeyPath = ("tls", name)
    certs = [named(path, file, report) for path, file in steps((*at, "cert"), table.cert)]
    keys = certs
    if table.key is not None:
        keys = [named(path, one, report) for path, one in steps((*at, "key"), table.key)]
    yield from (Entry(cert, key) for cert, key in zip(certs, keys, strict=False))


def steps(path: KeyPath, value: str | Secret | Sequence[str | Secret]) -> Iterator[tuple[KeyPath, str | Secret]]:
    """Give each entry of a list with its path, or a single value with that of the key."""
    if isinstance(value, str | Secret):
        yield path, value
    else:
        yield from (((*path, index), one) for index, one in enumerate(value))


def named(path: KeyPath, said: str | Secret, report: Report) -> Source:
    """Find the file: a relative path starts at the folder of the file that has it, but for secrets."""
    if isinstance(said, Secret):
        return Source(path, None if said.file is None else Path(said.file), said.reveal())
    return Source(path, Path(report.places.place(report.written(path), "value").file).parent / said)


class Reader:
    """Reads certificates and keys, each file once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._blocks: dict[Path, list[Block] | PemError] = {}

    def read(self, entry: Entry) -> None:
        """Read what an entry names, and report what cannot be used of it."""
        try:
            entry.chain = x509.chain_of(self._of(entry.cert))
        except PemError as error:
            report_fault(entry.cert, error, self._report)
            if entry.key.file == entry.cert.file and not error.line:
                return  # the same would be said about the key
        for line, worry in x509.worries(entry.chain):
            report_worry(entry.cert, line, worry, self._report)
        try:
            entry.private = x509.key_of(self._of(entry.key))
        except PemError as error:
            if entry.key.path == entry.cert.path and not error.line:
                hint = 'name the file that has the key: `key = "..."`'
                error = PemError("holds a certificate and no private key", hint=hint)
            report_fault(entry.key, error, self._report)

    def _of(self, source: Source) -> list[Block]:
        """Give the blocks of a file or of a secret. Raises PemError."""
        if source.text is not None or source.file is None:
            return blocks_of(source.text or "")
        if source.file not in self._blocks:
            try:
                self._blocks[source.file] = blocks_of(text_of(source.file))
            except PemError as error:
                self._blocks[source.file] = error
        found = self._blocks[source.file]
        if isinstance(found, PemError):
            raise PemError(found.message, found.line, found.hint)
        return found


def can_be(file: Path) -> bool:
    """Whether a file can have this name."""
    return "\0" not in str(file)


def text_of(file: Path) -> str:
    """Read a file as text; what is no ASCII in it is no part of PEM. Raises PemError."""
    try:
        if not can_be(file) or (file.exists() and not file.is_file()):
            raise PemError("is no file")  # a pipe would be waited for
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        hints = {
            errno.ENOENT: "a relative path starts at the folder of the configuration",
            errno.EACCES: "the user that the gateway runs as must be able to read it ([pylos] user)",
        }
        raise PemError(f"cannot be read: {error.strerror}", hint=hints.get(error.errno or 0)) from None
    if not data.strip():
        raise PemError("is empty")
    if len(data) > MOST_BYTES:
        raise PemError("is larger than 1 MiB, so it holds no certificate")
    if data[:1] == b"\x30" and b"-----BEGIN" not in data:
        hint = "write it in PEM: openssl x509 -inform der -in FILE -out FILE.pem; of PKCS #12: openssl pkcs12 -nodes"
        raise PemError("is binary (DER or PKCS #12)", hint=hint)
    return data.decode(errors="replace")


def report_fault(source: Source, error: PemError, report: Report) -> None:
    """Report what cannot be used, at the key of the document, with the place in the file."""
    where = f"{source}, line {error.line}: " if error.line else f"{source} "
    path, files = report.written(source.path), at(source, error.line)
    report.add("P122", path, where + error.message, hint=error.hint, files=files)


def report_worry(source: Source, line: int, worry: str, report: Report) -> None:
    """Warn of a certificate that does not hold now, or not for long."""
    message = f"the certificate in {source}, line {line}, {worry}"
    hint = "clients refuse it outside of its time: put one in its place that holds; it is taken over by itself"
    report.add("P123", report.written(source.path), message, hint=hint, severity="warning", files=at(source, line))


def at(source: Source, line: int) -> list[tuple[Place, str]]:
    """Give the place in a file. What stands there is not shown: it may be a key."""
    return [(Place(str(source.file), line), "")] if line and source.file is not None else []


def check_pairs(entries: Sequence[Entry], report: Report) -> None:
    """Report the keys that are not those of their certificates, and whose they are."""
    for entry in entries:
        if not entry.chain or entry.private is None or entry.cert_identity == entry.key_identity:
            continue
        message = f"{entry.key} is not the key of the certificate in {entry.cert}"
        if entry.key.path == entry.cert.path:
            message = f"{entry.cert} has a certificate and a key that do not belong together"
        report.add("P122", report.written(entry.key.path), message, hint=other_pairs(entry, entries))


def other_pairs(entry: Entry, entries: Sequence[Entry]) -> str:
    """Say which certificate a key belongs to, and which key belongs to a certificate, among all that there are."""
    certs = [one.cert for one in entries if one.chain and one.cert_identity == entry.key_identity]
    keys = [one.key for one in entries if one.private is not None and one.key_identity == entry.cert_identity]
    found = [f"{entry.key} is the key of {cert}" for cert in certs[:1]]
    found += [f"the key of {entry.cert} is {key}" for key in keys[:1]]
    return "; ".join(found) or "take the key with which this certificate was asked for: both are renewed together"
