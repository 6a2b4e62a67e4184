"""The authority for development: this machine itself. Its root is made once; who trusts it trusts its certificates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from pylos.config.x509 import key_text
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.keys import PrivateKey, alternative_names, new_key, read_key
from pylos.supervisor.acme.settings import LOCAL, Wanted
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads

ROOT_LIFE = timedelta(days=3650)
LIFE = timedelta(days=7)
"""Short, so that renewal is something that happens in development."""
LEEWAY = timedelta(hours=1)
NAME = "Pylos local authority"
POLL = 0.2
"""Seconds between looks while another machine makes the root."""
FIREFOX = (
    'for profile in ~/.mozilla/firefox/*.default*; do certutil -A -d "sql:$profile" -t C,, -n {name} -i {file}; done'
)


class LocalAuthority:
    """Makes certificates that are signed by the root of a storage."""

    def __init__(self, storage: Storage, threads: Threads, now: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._threads = threads
        self._now = now

    async def issue(self, wanted: Wanted) -> Certificate:
        """Make a certificate for what is wanted, whatever names these are. Raises StorageError."""
        root = await self.root()
        key = await self._threads.run(new_key, wanted.key_type)
        chain = _signed(root, key, wanted.domains, self._now())
        return Certificate.read(wanted.name, chain, key_text(key), LOCAL)

    async def root(self) -> Certificate:
        """Give the root; it is made when there is none, or its life is nearly over. Raises StorageError."""
        run, storage = self._threads.run, self._storage
        if (found := await run(storage.root)) is not None and self._is_good(found):
            return found
        while (held := await run(storage.locks.take, "local root")) is None:  # noqa: ASYNC110, nobody tells us
            await asyncio.sleep(POLL)
        try:
            if (found := await run(storage.root)) is not None and self._is_good(found):
                return found
            made = _root(self._now())
            await run(storage.keep_root, made)
            return made
        finally:
            await asyncio.shield(run(held.release))

    def _is_good(self, root: Certificate) -> bool:
        return root.ends - self._now() > LIFE.total_seconds() * 2


def trust_commands(root: Path) -> dict[str, list[str]]:
    """Give the commands by which a system trusts a root, a file in PEM; "firefox" where it does not ask the system."""
    file = quote(str(root))
    return {
        "debian": [f"sudo cp {file} /usr/local/share/ca-certificates/pylos-local.crt", "sudo update-ca-certificates"],
        "macos": [f"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}"],
        "firefox": [
            "sudo apt install libnss3-tools",
            FIREFOX.format(name=quote(NAME), file=file),
        ],
    }


def _root(now: float) -> Certificate:
    key, start = new_key("ecdsa"), datetime.fromtimestamp(now, UTC)
    # The time in its name tells roots of several machines apart.
    subject = _name(f"{NAME} {start:%Y-%m-%d %H:%M:%S}")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(subject, subject, key, start, ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    chain = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    return Certificate.read(NAME, chain, key_text(key), LOCAL, is_root=True)


def _signed(root: Certificate, key: PrivateKey, domains: Iterable[str], now: float) -> str:
    """Make a certificate for a server (PEM)."""
    issuer, issuer_key = x509.load_pem_x509_certificate(root.chain.encode()), read_key(root.key)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        _builder(issuer.subject, x509.Name([]), key, datetime.fromtimestamp(now, UTC), LIFE)
        # Critical, since the subject is empty (RFC 5280 section 4.2.1.6).
        .add_extension(alternative_names(domains), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _builder(
    issuer: x509.Name, subject: x509.Name, key: PrivateKey, start: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - LEEWAY)
        .not_valid_after(start + life)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
