"""A stand-in until a certificate is there: handshakes succeed, and no client trusts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from time import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pylos.config.x509 import key_text
from pylos.supervisor.acme.certificate import SELF_SIGNED, Certificate
from pylos.supervisor.acme.keys import PrivateKey, alternative_names, new_key

LIFE = timedelta(days=30)
LEEWAY = timedelta(hours=1)
"""By which clocks of clients may be late."""
ISSUER = "Pylos stand-in"


def selfsigned(domains: Iterable[str], name: str = "stand-in", now: Callable[[], float] = time) -> Certificate:
    """Make a certificate that is signed by its own key; `is_stand_in` and its issuer say so."""
    key = new_key("ecdsa")
    chain = signed_by_itself(key, domains, now=now(), life=LIFE)
    return Certificate.read(name, chain, key_text(key), SELF_SIGNED)


def signed_by_itself(
    key: PrivateKey,
    domains: Iterable[str],
    *,
    now: float,
    life: timedelta,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> str:
    """Make a certificate (PEM) with these names, and further extensions of which each says whether it is critical."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
    start = datetime.fromtimestamp(now, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - LEEWAY)
        .not_valid_after(start + life)
        .add_extension(alternative_names(domains), critical=False)
    )
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
