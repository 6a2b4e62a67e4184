"""Certificates that we make or read: stand-ins, and those of the local authority."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from pylos.supervisor.acme import Authority, Certificate, LocalAuthority, Storage, Wanted, selfsigned, trust_commands
from pylos.supervisor.acme.local import LIFE
from pylos.supervisor.acme.threads import Threads

DEV = ("localhost", "*.localhost", "127.0.0.1", "::1", "shop.test")


def leaf(chain: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(chain.encode())[0]


def test_a_stand_in_says_so():
    made = selfsigned(["shop.test", "127.0.0.1"], "shop", lambda: 1e9)
    assert made.is_stand_in
    assert "stand-in" in made.issuer
    assert made.covers(["shop.test", "127.0.0.1"])
    assert made.begins < 1e9 < made.ends


def test_the_renewal_id_of_the_rfc():
    """RFC 9773 section 4.1: its key identifier, and a serial number whose first bit is set."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.test")])
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), 0x87654321)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 4, 1, tzinfo=UTC))
        .add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert Certificate.read("shop", pem, plain, "test").renewal_id == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_what_the_gateway_would_not_take_from_a_file_is_none(tmp_path: Path):
    """A chain is read as that of `[tls]`: the certificate of a server, each signed by the next one."""
    local = LocalAuthority(Storage(tmp_path), Threads())

    async def story() -> tuple[Certificate, Certificate]:
        return await local.root(), await local.issue(Wanted("dev", DEV, (Authority("local", "local"),)))

    root, made = asyncio.run(story())
    assert Certificate.read("dev", made.chain + root.chain, made.key, "test").chain == made.chain + root.chain
    with pytest.raises(ValueError, match="certificate of an authority"):
        Certificate.read("root", root.chain, root.key, "test")
    with pytest.raises(ValueError, match="has not issued"):
        Certificate.read("dev", made.chain + selfsigned(["a.test"]).chain, made.key, "test")


def test_a_chain_out_of_order_is_none():
    one, other = selfsigned(["a.test"]), selfsigned(["b.test"])
    with pytest.raises(ValueError, match="private key"):
        Certificate.read("a", one.chain, other.key, "test")
    with pytest.raises(ValueError, match="PEM"):
        Certificate.read("a", "", one.key, "test")


def test_the_local_authority(tmp_path: Path):
    storage = Storage(tmp_path)

    async def story() -> None:
        local = LocalAuthority(storage, Threads())
        made = await local.issue(Wanted("dev", DEV, (Authority("local", "local"),)))
        assert (made.source, made.covers(DEV)) == ("local", True)
        root = await LocalAuthority(storage, Threads()).root()
        assert root == await local.root(), "made once"
        store = verification.Store([leaf(root.chain)])
        builder = verification.PolicyBuilder().store(store)
        subjects = [x509.DNSName("localhost"), x509.DNSName("a.localhost"), x509.IPAddress(ipaddress.ip_address("::1"))]
        for subject in subjects:
            builder.build_server_verifier(subject).verify(leaf(made.chain), [])
        with pytest.raises(verification.VerificationError):
            builder.build_server_verifier(x509.DNSName("other.test")).verify(leaf(made.chain), [])

    asyncio.run(story())
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in tmp_path.rglob("*"))


def test_a_root_near_its_end_is_followed(tmp_path: Path):
    storage, now = Storage(tmp_path), [1.8e9]

    async def story() -> None:
        local = LocalAuthority(storage, Threads(), lambda: now[0])
        first = await local.root()
        now[0] = first.ends - LIFE.total_seconds() * 2 - 1
        assert await local.root() == first
        now[0] += 2
        assert await local.root() != first

    asyncio.run(story())


def test_how_a_root_is_trusted():
    commands = trust_commands(Path("/var/lib/my pylos/root.pem"))
    assert set(commands) == {"debian", "macos", "firefox"}
    assert all("'/var/lib/my pylos/root.pem'" in " ".join(lines) for lines in commands.values())


def test_openssl_takes_what_is_made(tmp_path: Path):
    made = selfsigned(["shop.test"])
    (tmp_path / "both.pem").write_text(made.key + made.chain)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")
