"""Private keys and requests for certificates (PKCS #10)."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from pylos.supervisor.acme.domains import address_of
from pylos.supervisor.acme.settings import KeyType

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
RSA_BITS = 2048
"""What all authorities take; more makes each handshake dearer."""


def new_key(kind: KeyType) -> PrivateKey:
    """Make a key: P-256 or RSA. RSA takes some tenths of a second."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def read_key(pem: str) -> PrivateKey:
    """Read a key. Raises ValueError for what is none, or of another kind."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"no private key: {error}") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise ValueError("a private key that is neither ECDSA nor RSA")  # noqa: TRY004, the text is wrong, not the type
    return key


def kind_of(key: PrivateKeyTypes) -> KeyType:
    """Say how such a key is asked for."""
    return "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa"


def request(key: PrivateKey, domains: Iterable[str]) -> x509.CertificateSigningRequest:
    """Ask for a certificate with these names. The subject stays empty (RFC 8555 section 7.4 needs none)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(alternative_names(domains), critical=False).sign(key, hashes.SHA256())


def alternative_names(domains: Iterable[str]) -> x509.SubjectAlternativeName:
    """Give names as an extension: domains as domains, addresses as addresses (RFC 5280 section 4.2.1.6)."""
    names = [(domain, address_of(domain)) for domain in domains]
    return x509.SubjectAlternativeName(
        [x509.DNSName(domain) if address is None else x509.IPAddress(address) for domain, address in names]
    )
