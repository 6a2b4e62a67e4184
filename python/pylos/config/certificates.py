"""Certificates and keys that a document names: read when it is checked, sound or told what is wrong.

Of `[tls.NAME]` what is shown to clients, of `[upstream.NAME] tls` what is shown to targets; whom others are believed
through is read in trust.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from pylos.config import x509
from pylos.config.check import Loaded
from pylos.config.material import Material, Outward
from pylos.config.pem import Pair, PemError, blocks_of
from pylos.config.pem_files import Files, Source, named, report_fault, report_worry
from pylos.config.problems import Report
from pylos.config.trust import read_authorities, read_trusted
from pylos.contents import Held
from pylos.errors import KeyPath
from pylos.model import Document, Secret, Tls, Upstream, UpstreamTls

OUT_OF_TIME = "others refuse it outside of its time: put one in its place that holds; it is taken over by itself"


@dataclass
class Entry:
    """A certificate and its key, as far as they could be read."""

    cert: Source
    key: Source
    use: x509.Use = x509.Use.SERVER
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


def read_material(document: Document, report: Report, held: Held | None = None) -> Material:
    """Read what all tables name, and report what cannot be used. What files held is noted in `held`."""
    files = Files(held)
    upstreams = {name: one.tls for name, one in document.upstream.items() if one.tls is not None}
    shown = {name: list(entries_of(("tls", name), table, report)) for name, table in document.tls.items()}
    outward = {name: list(entries_of(("upstream", name, "tls"), tls, report)) for name, tls in upstreams.items()}
    entries = [entry for kind in (shown, outward) for found in kind.values() for entry in found]
    files.know(*(source for entry in entries for source in (entry.cert, entry.key)))
    # A table that could not be read whole may not say what it was meant to say.
    partly = report.tables
    whole = [entry for entry in entries if entry.cert.path[:2] not in partly]
    for entry in whole:
        read(entry, files, report)
    check_pairs(whole, report)
    sound = {name: table for name, table in document.tls.items() if ("tls", name) not in partly}
    clients = {name: read_trusted(name, table, files, report) for name, table in sound.items()}
    known = {name: tls for name, tls in upstreams.items() if ("upstream", name) not in partly}
    believed = {name: read_authorities(name, tls, files, report) for name, tls in known.items()}
    wrong = partly | {path[:2] for path in report.errors}
    return Material(
        {name: pairs_of(found) for name, found in shown.items() if ("tls", name) not in wrong},
        {name: one for name, one in clients.items() if one is not None},
        {
            name: Outward(believed[name], next(iter(pairs_of(outward[name])), None))
            for name in known
            if ("upstream", name) not in wrong
        },
        files.named,
        named_of(document, report),
    )


def named_of(document: Document, report: Report) -> dict[str, Any]:
    """Say in the words of a document what is named, every file as it was found."""
    tls: dict[str, dict[str, Any]] = {
        name: {"cert": files_of(("tls", name, "cert"), table.cert, report)}
        | ({} if table.key is None else {"key": files_of(("tls", name, "key"), table.key, report)})
        for name, table in document.tls.items()
        if table.cert is not None
    }
    for name, table in document.tls.items():
        if table.client is not None:
            at, scope = ("tls", name, "client"), table.client.crl_scope
            client: dict[str, Any] = {"ca": files_of((*at, "ca"), table.client.ca, report)}
            if table.client.crl is not None:
                client |= {"crl": files_of((*at, "crl"), table.client.crl, report), "crl_scope": scope}
            tls.setdefault(name, {})["client"] = client
    return {"tls": tls, "upstream": {name: outward_of(name, one, report) for name, one in document.upstream.items()}}


def outward_of(name: str, upstream: Upstream, report: Report) -> dict[str, Any]:
    """Say the same of one upstream."""
    at, tls = ("upstream", name, "tls"), upstream.tls
    if tls is None:
        return {}
    said = {"ca": files_of((*at, "ca"), tls.ca, report)} if tls.ca is not None else {}
    for key, value in (("cert", tls.cert), ("key", tls.key)):
        if value is not None:
            (said[key],) = files_of((*at, key), value, report)
    return said


def files_of(path: KeyPath, said: str | Secret | Sequence[str | Secret], report: Report) -> list[Any]:
    """Give files by their names, and secrets by where they are read."""
    values = [said] if isinstance(said, str | Secret) else said
    sources = named(path, said, report)
    return [
        value.model_dump(exclude_none=True) if isinstance(value, Secret) else str(source.file)
        for value, source in zip(values, sources, strict=True)
    ]


def pairs_of(entries: Sequence[Entry]) -> list[Pair]:
    """Give what could be read."""
    return [entry.pair for entry in entries if entry.pair is not None]


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


def entries_of(at: KeyPath, table: Tls | UpstreamTls, report: Report) -> Iterator[Entry]:
    """List the certificates of a table, each with its key."""
    if table.cert is None:
        return
    use = x509.Use.SERVER if isinstance(table, Tls) else x509.Use.CLIENT
    certs = named((*at, "cert"), table.cert, report)
    keys = certs if table.key is None else named((*at, "key"), table.key, report)
    yield from (Entry(cert, key, use) for cert, key in zip(certs, keys, strict=False))


def read(entry: Entry, files: Files, report: Report) -> None:
    """Read what an entry names, and report what cannot be used of it."""
    try:
        entry.chain = x509.chain_of(files.blocks(entry.cert), entry.use)
    except PemError as error:
        report_fault(entry.cert, error, report)
        if entry.key.file == entry.cert.file and not error.line:
            return  # the same would be said about the key
    for line, worry in x509.worries(entry.chain):
        report_worry(entry.cert, line, f"the certificate {{}} {worry}", OUT_OF_TIME, report)
    try:
        entry.private = x509.key_of(files.blocks(entry.key))
    except PemError as error:
        if entry.key.path == entry.cert.path and not error.line:
            hint = 'name the file that has the key: `key = "..."`'
            error = PemError("holds a certificate and no private key", hint=hint)
        report_fault(entry.key, error, report)


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
