"""A certificate with its key: what was read is known to fit together."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from pylos.config import x509 as pem_x509
from pylos.config.pem import PemError, blocks_of
from pylos.supervisor.acme.domains import covers
from pylos.supervisor.acme.errors import shown
from pylos.supervisor.acme.keys import kind_of
from pylos.supervisor.acme.settings import KeyType

SELF_SIGNED = "self-signed"
"""The source of a stand-in."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain and its key, of which the first certificate is the key's."""

    name: str
    """Of what is wanted."""
    chain: str
    """PEM, the certificate itself first."""
    key: str = field(repr=False)
    """PEM, PKCS #8."""
    source: str
    """The URL of the authority's directory, "local" or "self-signed"."""
    domains: frozenset[str]
    begins: float
    """Seconds since 1970, as all points in time."""
    ends: float
    fingerprint: str
    """SHA-256 of the first certificate, hexadecimal."""
    issuer: str
    key_type: KeyType
    renewal_id: str | None
    """By which an authority knows it (RFC 9773 section 4.1); None where it lacks what that is made of."""

    @classmethod
    def read(cls, name: str, chain: str, key: str, source: str, *, is_root: bool = False) -> Certificate:
        """Read one, and see that key and chain fit: what the gateway takes from a file. Raises ValueError."""
        links, private = _read(chain, key, is_root=is_root)
        leaf = links[0].certificate
        about = pem_x509.about(leaf)
        return cls(
            name=name,
            chain=pem_x509.chain_text(links),
            key=pem_x509.key_text(private),
            source=source,
            domains=frozenset(about.names),
            begins=about.begins.timestamp(),
            ends=about.ends.timestamp(),
            fingerprint=about.fingerprint,
            issuer=shown(about.issuer),
            key_type=kind_of(private),
            renewal_id=_renewal_id(leaf),
        )

    def covers(self, domains: Iterable[str]) -> bool:
        """Whether it is good for all of these."""
        return all(covers(self.domains, domain) for domain in domains)

    @property
    def fraction(self) -> float:
        """A number from 0 to 1 that is chance, but the same on all machines and after each start."""
        return int(self.fingerprint[:8], 16) / 2**32

    @property
    def is_stand_in(self) -> bool:
        """Whether no authority stands behind it."""
        return self.source == SELF_SIGNED


def issuers(chain: str) -> list[str]:
    """Give the common names of all issuers in a chain (PEM), the nearest first. Raises ValueError."""
    names = []
    for certificate in x509.load_pem_x509_certificates(chain.encode()):
        names += [str(name.value) for name in certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return names


def _read(chain: str, key: str, *, is_root: bool) -> tuple[list[pem_x509.Link], PrivateKeyTypes]:
    try:
        blocks = blocks_of(chain)
        links = pem_x509.authorities_of(blocks) if is_root else pem_x509.chain_of(blocks)
    except PemError as error:
        raise ValueError(f"the chain: {error.message}") from None
    try:
        private = pem_x509.key_of(blocks_of(key))
    except PemError as error:
        raise ValueError(f"no private key: {error.message}") from None
    if pem_x509.identity(private.public_key()) != pem_x509.identity(links[0].certificate.public_key()):
        raise ValueError("the private key is not that of the certificate")
    return links, private


def _renewal_id(leaf: x509.Certificate) -> str | None:
    """Give authority key identifier and serial number, as RFC 9773 section 4.1 writes them."""
    try:
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None
    if authority is None:
        return None
    serial = leaf.serial_number
    # The content of a DER INTEGER: signed, so that a first bit that is set has a zero byte before it.
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (authority, number))
