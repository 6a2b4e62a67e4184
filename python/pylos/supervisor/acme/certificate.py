"""A certificate with its key: what was read is known to fit together."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pylos.supervisor.acme.domains import covers
from pylos.supervisor.acme.errors import shown
from pylos.supervisor.acme.keys import kind_of, read_key
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
    def read(cls, name: str, chain: str, key: str, source: str) -> Certificate:
        """Read one, and see that key and chain fit. Raises ValueError."""
        found = x509.load_pem_x509_certificates(chain.encode())
        leaf = found[0]
        public, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        private = read_key(key)
        if private.public_key().public_bytes(public, form) != leaf.public_key().public_bytes(public, form):
            raise ValueError("the private key is not that of the certificate")
        for lower, upper in pairwise(found):
            if lower.issuer != upper.subject:
                raise ValueError("the chain is not in order")
        return cls(
            name=name,
            chain=chain,
            key=key,
            source=source,
            domains=_names(leaf),
            begins=leaf.not_valid_before_utc.timestamp(),
            ends=leaf.not_valid_after_utc.timestamp(),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            issuer=shown(leaf.issuer.rfc4514_string()),
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


def _names(leaf: x509.Certificate) -> frozenset[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    domains = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return frozenset([*domains, *(str(address) for address in names.get_values_for_type(x509.IPAddress))])


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
