"""Whom a document believes: authorities, and the lists of what they have revoked (RFC 5280, 5).

Where the files of a `ca` have roots, which sign themselves, those are believed, and the others are only there to find
the way to one; where they have none, all are. Whether they are authorities at all is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.x509 import Certificate, CertificateRevocationList

from pylos.config import x509
from pylos.config.material import Trusted
from pylos.config.pem import PemError
from pylos.config.pem_files import MOST_BYTES_OF_LISTS, Files, Source, named, report_fault, report_worry
from pylos.config.problems import Report
from pylos.errors import KeyPath
from pylos.model import Tls, UpstreamTls
from pylos.model.tls import Files as Named

NOT_BELIEVED = "who is vouched for by it is refused: put one in its place that holds; it is taken over by itself"
OUT_OF_DATE = "whose certificate it is about is refused, revoked or not, until there is a newer list"


@dataclass(frozen=True)
class Authority:
    """Who is believed."""

    source: Source
    certificate: Certificate

    @property
    def name(self) -> str:
        return x509.name_of(self.certificate.subject)


@dataclass(frozen=True)
class Listed:
    """What an authority has revoked."""

    source: Source
    line: int
    revoked: CertificateRevocationList


def read_authorities(name: str, tls: UpstreamTls, files: Files, report: Report) -> str | None:
    """Read whom targets are believed through; None where nothing is said, or nothing that can be used."""
    found = authorities(("upstream", name, "tls", "ca"), tls.ca, files, report)
    return text_of(found) or None


def read_trusted(name: str, table: Tls, files: Files, report: Report) -> Trusted | None:
    """Read whom clients are believed through; None where they are not asked, or nothing can be used."""
    client = table.client
    if client is None:
        return None
    at: KeyPath = ("tls", name, "client")
    believed = authorities((*at, "ca"), client.ca, files, report)
    lists = list(revocations((*at, "crl"), client.crl, files, report))
    if not believed:
        return None
    for one in lists:
        check_issuer(one, believed, report)
    if lists and client.crl_scope == "chain":
        check_complete((*at, "crl"), believed, lists, report)
    return Trusted(text_of(believed), [x509.list_text(one.revoked) for one in lists])


def authorities(path: KeyPath, said: Named | None, files: Files, report: Report) -> list[Authority]:
    """Read all certificates of some files, and report those that cannot be read or do not hold."""
    found: list[Authority] = []
    for source in named(path, said, report) if said is not None else []:
        files.know(source)
        try:
            links = x509.authorities_of(files.blocks(source))
        except PemError as error:
            report_fault(source, error, report)
            continue
        for line, worry in x509.worries(links):
            report_worry(source, line, f"the certificate {{}} {worry}", NOT_BELIEVED, report)
        found += [Authority(source, link.certificate) for link in links]
    return found


def text_of(believed: Iterable[Authority]) -> str:
    """Write them in PEM, each once."""
    return "".join(dict.fromkeys(x509.certificate_text(one.certificate) for one in believed))


def revocations(path: KeyPath, said: Named | None, files: Files, report: Report) -> Iterator[Listed]:
    """Read all lists of some files, and report those that cannot be read or are out of date."""
    for source in named(path, said, report) if said is not None else []:
        files.know(source)
        try:
            lists = x509.lists_of(files.blocks(source, MOST_BYTES_OF_LISTS))
        except PemError as error:
            report_fault(source, error, report)
            continue
        for line, revoked in lists:
            if (end := revoked.next_update_utc) is not None and end <= datetime.now(UTC):
                worry = f"the list of revoked certificates {{}} is out of date since {x509.day(end)}"
                report_worry(source, line, worry, OUT_OF_DATE, report)
            yield Listed(source, line, revoked)


def check_issuer(one: Listed, believed: Iterable[Authority], report: Report) -> None:
    """See that a list is from who is believed: others can revoke nothing here."""
    named_so = [authority for authority in believed if authority.certificate.subject == one.revoked.issuer]
    if any(x509.has_signed(authority.certificate, one.revoked) for authority in named_so):
        return
    issuer = x509.name_of(one.revoked.issuer)
    message, hint = f"a list of `{issuer}`, who is not in `ca`", "add the certificate of that authority to `ca`"
    if named_so:
        message = f"a list that `{issuer}`, who is in `ca`, has not signed"
        hint = "the authority may have a new key: take the list and the certificate that it has now"
    report_fault(one.source, PemError(message, one.line, hint), report)


def check_complete(path: KeyPath, believed: Iterable[Authority], lists: Iterable[Listed], report: Report) -> None:
    """See that each authority has a list: without one nobody whom it vouches for could be let in."""
    issuers = [one.revoked.issuer for one in lists]
    missing = [authority.name for authority in believed if authority.certificate.subject not in issuers]
    for name in dict.fromkeys(missing):
        message = f'there is no list of `{name}`, which `crl_scope = "chain"` asks for'
        hint = 'add its list, or ask only for those of who has issued the client\'s certificate: crl_scope = "leaf"'
        report.add("P122", report.written(path), message, hint=hint)
