"""Certificates and keys as they come out of PEM: what they are, whether they fit together, and until when they hold.

The profile is that of RFC 5280, with what browsers ask of servers. Whether someone trusts the issuer is not asked.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from pylos.config.pem import CUT_OFF, Block, PemError

SOON = timedelta(days=14)
"""So long before its end a certificate is spoken of, or a third of its life, where that is shorter."""
CERTIFICATE = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
LEAST_BITS, MOST_BITS = 2048, 8192
USABLE = "RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be used"


@dataclass(frozen=True)
class Link:
    """A certificate of a chain."""

    line: int
    """Where it begins in its file."""
    certificate: x509.Certificate


# -- certificates -----------------------------------------------------------------------------------------------------


class Use(Enum):
    """Who shows a certificate."""

    SERVER = "server"
    CLIENT = "client"

    @property
    def oids(self) -> set[x509.ObjectIdentifier]:
        """What its extendedKeyUsage has to say, where it is there (RFC 5280, 4.2.1.12)."""
        own = ExtendedKeyUsageOID.SERVER_AUTH if self is Use.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH
        return {own, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


def chain_of(blocks: Sequence[Block], use: Use = Use.SERVER) -> list[Link]:
    """Read the certificates of a file: the one that is shown, then those that vouch for it. Raises PemError."""
    chain = [Link(block.line, certificate_of(block)) for block in blocks if block.label in CERTIFICATE]
    if not chain:
        labels = " and ".join(dict.fromkeys(f"`{block.label}`" for block in blocks))
        instead = "name it in `key`, and in `cert` the certificate" if "PRIVATE KEY" in labels else None
        raise PemError(f"holds no certificate, but {labels}", hint=INSTEAD.get(blocks[0].label, instead))
    check_leaf(chain, use)
    check_order(chain)
    return chain


INSTEAD = {
    "CERTIFICATE REQUEST": "that is what a certificate is asked for with: take what has come back",
    "TRUSTED CERTIFICATE": "write it anew: openssl x509 -in FILE -out FILE.pem",
    "PKCS7": "take the certificates out of it: openssl pkcs7 -print_certs -in FILE -out FILE.pem",
}
"""By label: what to do with what is no certificate."""


def certificate_of(block: Block) -> x509.Certificate:
    """Read one certificate. Raises PemError."""
    try:
        certificate = x509.load_pem_x509_certificate(block.text.encode())
        _ = certificate.extensions, certificate.subject, certificate.issuer  # read when they are asked for
    except Exception:  # noqa: BLE001 - of what is malformed the library tells by errors of many kinds
        raise PemError("a certificate that cannot be read", block.line, CUT_OFF) from None
    return certificate


def check_leaf(chain: Sequence[Link], use: Use) -> None:
    """Refuse what is no certificate of a server, or of a client. Raises PemError."""
    first = chain[0]
    certificate = first.certificate
    if is_authority(certificate):
        server = next((link for link in chain if not is_authority(link.certificate)), None)
        if server is not None:
            hint = f"the certificate of the {use.value} stands first: that is the one on line {server.line}"
            raise PemError("the chain begins with the certificate of an authority", first.line, hint)
        hint = "take the certificate that it has issued; one of your own is made with `basicConstraints = CA:FALSE`"
        raise PemError(f"the certificate of an authority (`CA:TRUE`), not of a {use.value}", first.line, hint)
    if use is Use.SERVER and alternative_names(certificate) is None:
        hint = "clients read no names but those of that extension: have it issued anew, with all names"
        raise PemError("a certificate without names (subjectAltName)", first.line, hint)
    uses = extension(certificate, ExtensionOID.EXTENDED_KEY_USAGE)
    if isinstance(uses, x509.ExtendedKeyUsage) and not use.oids & {*uses}:
        hint = f"have one issued for {use.value}s (extendedKeyUsage `{use.value}Auth`)"
        raise PemError(f"a certificate that is not for {use.value}s", first.line, hint)
    if not is_usable(public_key(certificate)):
        raise PemError(f"a certificate with a key that cannot be used: {key_kind(certificate)}", first.line, USABLE)


def check_order(chain: Sequence[Link]) -> None:
    """See that each certificate has issued the one before it. Raises PemError."""
    for index, (link, issuer) in enumerate(itertools.pairwise(chain)):
        if has_issued(issuer.certificate, link.certificate):
            continue
        if any(issuer.certificate == before.certificate for before in chain[: index + 1]):
            raise PemError("a certificate that stands here twice", issuer.line, "take it out")
        other = next((one for one in chain if one is not link and has_issued(one.certificate, link.certificate)), None)
        if other is not None:
            hint = f"that is the one on line {other.line}: each certificate stands behind the one that it has issued"
            raise PemError(f"not the certificate that has issued the one on line {link.line}", issuer.line, hint)
        hint = f"the one that has is called `{name_of(link.certificate.issuer)}`; take out what does not belong here"
        raise PemError(f"a certificate that has not issued the one on line {link.line}", issuer.line, hint)


def has_issued(issuer: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether a certificate is signed with the key of another."""
    try:
        other.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    except (TypeError, UnsupportedAlgorithm):  # a signature that is not known here, but may be to clients
        return issuer.subject == other.issuer
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether others may be issued with its key."""
    constraints = extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca


def alternative_names(certificate: x509.Certificate) -> list[str] | None:
    """Give the DNS names, in lower case: none where there are but addresses, None where there are no names at all."""
    names = extension(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if not isinstance(names, x509.SubjectAlternativeName) or not [*names]:
        return None
    return list(dict.fromkeys(name.lower() for name in names.get_values_for_type(x509.DNSName)))


def extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> x509.ExtensionType | None:
    """Give what an extension says; None where it is not there."""
    try:
        return certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None


def name_of(name: x509.Name) -> str:
    """Write a name as RFC 4514 does."""
    return name.rfc4514_string()


def worries(chain: Sequence[Link], now: datetime | None = None) -> Iterator[tuple[int, str]]:
    """Say which certificates do not hold now, or not for long: the line of each, and what is to be said about it."""
    now = now or datetime.now(UTC)
    for link in chain:
        begin, end = link.certificate.not_valid_before_utc, link.certificate.not_valid_after_utc
        if end <= now:
            yield link.line, f"has expired on {day(end)}"
        elif begin > now:
            yield link.line, f"is not valid before {day(begin)}"
        elif end - now < min(SOON, (end - begin) / 3):
            days = (end - now).days
            left = f"{days} days" if days > 1 else "one day" if days else "less than a day"
            yield link.line, f"expires in {left}, on {day(end)}"


def day(moment: datetime) -> str:
    """Write a moment to the minute: `2027-03-01 12:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


# -- authorities, and what they have revoked --------------------------------------------------------------------------


def authorities_of(blocks: Sequence[Block]) -> list[Link]:
    """Read the certificates of a file of authorities, in any order. Raises PemError."""
    found = [Link(block.line, certificate_of(block)) for block in blocks if block.label in CERTIFICATE]
    if not found:
        labels = " and ".join(dict.fromkeys(f"`{block.label}`" for block in blocks))
        raise PemError(f"holds no certificate, but {labels}", hint=INSTEAD.get(blocks[0].label))
    return found


def lists_of(blocks: Sequence[Block]) -> list[tuple[int, x509.CertificateRevocationList]]:
    """Read the lists of revoked certificates in a file, each with its line. Raises PemError."""
    found = [(block.line, list_of(block)) for block in blocks if block.label == "X509 CRL"]
    if not found:
        labels = " and ".join(dict.fromkeys(f"`{block.label}`" for block in blocks))
        raise PemError(f"holds no list of revoked certificates (`X509 CRL`), but {labels}")
    return found


def list_of(block: Block) -> x509.CertificateRevocationList:
    """Read one list. Raises PemError."""
    try:
        found = x509.load_pem_x509_crl(block.text.encode())
        _ = found.extensions, found.issuer, found.next_update_utc  # read when they are asked for
    except Exception:  # noqa: BLE001 - of what is malformed the library tells by errors of many kinds
        raise PemError("a list of revoked certificates that cannot be read", block.line, CUT_OFF) from None
    return found


def has_signed(issuer: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    """Whether a list is signed with the key of a certificate."""
    try:
        return revoked.is_signature_valid(public_key(issuer))  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


# -- keys -------------------------------------------------------------------------------------------------------------


def key_of(blocks: Sequence[Block]) -> PrivateKeyTypes:
    """Read the only key of a file. Raises PemError, whose text has nothing of it."""
    keys = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    if not keys:
        labels = " and ".join(dict.fromkeys(f"`{block.label}`" for block in blocks))
        raise PemError(f"holds no private key, but {labels}")
    if len(keys) > 1:
        raise PemError("a second key", keys[1].line, "a file holds the key of one certificate")
    (block,) = keys
    if block.is_encrypted:
        hint = "write it without: openssl pkey -in FILE -out FILE.key, for the gateway's user alone (mode 0600)"
        raise PemError("a key that needs a passphrase", block.line, hint)
    if block.label == "OPENSSH PRIVATE KEY":
        raise PemError("a key of OpenSSH", block.line, "write it in PEM: ssh-keygen -p -m pem -f FILE")
    text = block.text.encode()
    digest = hashlib.sha256(text).digest()
    try:
        key = load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=digest in SOUND_KEYS)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PemError("a key that cannot be read", block.line, USABLE) from None
    if not is_usable(key.public_key()):
        raise PemError(f"a key that cannot be used: {kind_of(key.public_key())}", block.line, USABLE)
    SOUND_KEYS[digest] = None
    if len(SOUND_KEYS) > MOST_SOUND_KEYS:
        with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
            del SOUND_KEYS[next(iter(SOUND_KEYS))]
    return key


SOUND_KEYS: dict[bytes, None] = {}
"""Digests of keys that were found sound by this process, the first ones first: whether the numbers of an RSA key are
primes takes up to a quarter of a second, at each look at a configuration. Nothing else is kept of a key."""
MOST_SOUND_KEYS = 10_000


def kind_of(key: object) -> str:
    """Name the kind of a public key: `RSA 2048`, `ECDSA P-256`, `Ed25519`."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {CURVES.get(key.curve.name, key.curve.name)}"
        case _:
            return type(key).__name__.lstrip("_").removesuffix("PublicKey")


def is_usable(key: object) -> bool:
    """Whether the gateway signs with the private key of a public one."""
    match key:
        case rsa.RSAPublicKey():
            return LEAST_BITS <= key.key_size <= MOST_BITS
        case ec.EllipticCurvePublicKey():
            return key.curve.name in CURVES
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey)


def public_key(certificate: x509.Certificate) -> object:
    """Give a certificate's key; None where it is of a kind that is not known."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def key_kind(certificate: x509.Certificate) -> str:
    """Name the kind of a certificate's key."""
    key = public_key(certificate)
    return "an unknown kind" if key is None else kind_of(key)


def identity(public: object) -> bytes:
    """Give what a certificate's key and the public part of its private key have in common, and no others."""
    data: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return data


# -- as the gateway takes them ----------------------------------------------------------------------------------------


def chain_text(chain: Sequence[Link]) -> str:
    """Write a chain in PEM."""
    return "".join(certificate_text(link.certificate) for link in chain)


def certificate_text(certificate: x509.Certificate) -> str:
    """Write a certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def list_text(revoked: x509.CertificateRevocationList) -> str:
    """Write a list of revoked certificates in PEM."""
    return revoked.public_bytes(Encoding.PEM).decode()


def key_text(key: PrivateKeyTypes) -> str:
    """Write a key in PEM, as PKCS #8; that is the same text whatever it was written as."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# -- for readers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class About:
    """What may be told about a certificate."""

    names: list[str]
    """All names and addresses that it is for."""
    kind: str
    """Of its key: `ECDSA P-256`."""
    issuer: str
    begins: datetime
    ends: datetime
    serial: str
    """In hexadecimal digits."""
    fingerprint: str
    """SHA-256, in hexadecimal digits."""

    def __str__(self) -> str:
        names = ", ".join(self.names)
        return f"{names}: {self.kind}, until {day(self.ends)}, serial {self.serial}, sha256 {self.fingerprint}"

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values; moments as RFC 3339 has them."""
        return {
            "names": self.names,
            "key": self.kind,
            "issuer": self.issuer,
            "not_before": moment(self.begins),
            "not_after": moment(self.ends),
            "serial": self.serial,
            "sha256": self.fingerprint,
        }


def moment(when: datetime) -> str:
    """Write a moment as RFC 3339 does."""
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def about(certificate: x509.Certificate) -> About:
    """Tell about a certificate."""
    names = extension(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    texts = [str(name.value).lower() for name in names] if isinstance(names, x509.SubjectAlternativeName) else []
    return About(
        texts,
        key_kind(certificate),
        name_of(certificate.issuer),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        f"{certificate.serial_number:x}",
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def about_chain(text: str) -> About:
    """Tell about the first certificate of a text in PEM that was read before."""
    return about(x509.load_pem_x509_certificates(text.encode())[0])


def list_apart(text: str) -> str:
    """Write what tells a list of revoked certificates, in PEM, from any other one."""
    found = x509.load_pem_x509_crl(text.encode())
    end = "" if found.next_update_utc is None else f", until {day(found.next_update_utc)}"
    digest = found.fingerprint(hashes.SHA256()).hex()
    return f"{name_of(found.issuer)}: {len(found)} revoked, of {day(found.last_update_utc)}{end}, sha256 {digest}"


def told_apart(text: str) -> str:
    """Write what tells a chain, in PEM, from any other one."""
    first, *others = x509.load_pem_x509_certificates(text.encode())
    behind = "".join(f", then sha256 {other.fingerprint(hashes.SHA256()).hex()}" for other in others)
    return f"{about(first)}{behind}"
