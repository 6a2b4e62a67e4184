"""Certificates for tests, made when they are needed: what a test is about is said, all else is as it ought to be."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = CertificateIssuerPrivateKeyTypes


def ecdsa() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and who has issued it."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    issuer: Issued | None = None

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def chain(self) -> str:
        """The certificate and the intermediate ones, without the root."""
        above = self.issuer
        return self.pem + (above.chain if above is not None and above.issuer is not None else "")

    @property
    def key_pem(self) -> str:
        return self.written()

    @property
    def key_der(self) -> bytes:
        """The key, in binary."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def written(self, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: str | None = None) -> str:
        """The key in another form, or encrypted."""
        hidden = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(Encoding.PEM, form, hidden).decode()

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def save(self, folder: Path, name: str) -> Path:
        """Write NAME.pem and NAME.key; gives the first."""
        (folder / f"{name}.key").write_text(self.key_pem)
        path = folder / f"{name}.pem"
        path.write_text(self.chain)
        return path


def issue(
    *names: str,
    issuer: Issued | None = None,
    key: Key | None = None,
    authority: bool = False,
    days: float = 90,
    since: float = 1,
    uses: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    called: str | None = None,
) -> Issued:
    """Issue a certificate for names and addresses; without an issuer it signs itself. `days` from now, `since` ago."""
    key = key or ecdsa()
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called or (names[0] if names else "nobody"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=since))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names]), critical=False)
    if uses and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    signing = key if issuer is None else issuer.key
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signing, algorithm), key, issuer)


def general(name: str) -> x509.GeneralName:
    """Spell a name, or an address."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def authority(called: str = "Test Root", issuer: Issued | None = None) -> Issued:
    """Make an authority: a root, or one that an issuer vouches for."""
    return issue(authority=True, issuer=issuer, called=called, days=3650)


def revocations(issuer: Issued, *revoked: Issued, days: float = 30) -> str:
    """Make an authority's list of what it has revoked, in PEM. It is of yesterday and holds for `days`."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(days=1 + max(0.0, -days)))
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(now - timedelta(hours=1))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def rsa_key(bits: int = 2048) -> Key:
    """Make an RSA key. Takes some tenths of a second."""
    return rsa.generate_private_key(65537, bits)


def trusting(*roots: Issued) -> ssl.SSLContext:
    """What a client has that trusts these authorities alone."""
    context = ssl.create_default_context(cadata="".join(root.pem for root in roots))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # asks roots for what ours have no use for
    return context


def showing(issued: Issued, folder: Path, *clients: Issued) -> ssl.SSLContext:
    """What a server has that shows this certificate, and asks for one of those whom these authorities vouch for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.save(folder, f"server-{issued.serial:x}"), folder / f"server-{issued.serial:x}.key")
    if clients:
        context.load_verify_locations(cadata="".join(root.pem for root in clients))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def shown_by(issued: Issued, folder: Path, *roots: Issued) -> ssl.SSLContext:
    """What a client has that shows this certificate, and trusts these authorities."""
    context = trusting(*roots)
    context.load_cert_chain(issued.save(folder, f"client-{issued.serial:x}"), folder / f"client-{issued.serial:x}.key")
    return context


LOWER = Path(__file__).parent / "golden" / "lower"


def golden_documents(folder: Path) -> Path:
    """Copy the golden documents into a folder, and make the certificates that they name; gives the one with every key.

    A key of it is a secret, so that it is to be loaded from there.
    """
    shutil.copytree(LOWER, folder, dirs_exist_ok=True)
    golden_certificates(folder)
    return folder / "everything.toml"


def golden_certificates(folder: Path) -> None:
    """Make what the golden documents name."""
    issue("Shop.example.com", "*.shop.example.com").save(folder, "everything")
    issue("blog.example.com").save(folder, "blog")
    root = authority("Partners")
    root.save(folder, "partners")
    (folder / "partners.crl").write_text(revocations(root, issue("lost.example.com", issuer=root)))
    (folder / "dns.key").write_text("c2VjcmV0IG9mIHRoZSB6b25l\n")
    (folder / "eab.key").write_text("c2VjcmV0LW9mLXRoZS1hY2NvdW50\n")
    issue(issuer=root, called="gateway", uses=[ExtendedKeyUsageOID.CLIENT_AUTH]).save(folder, "gateway")
