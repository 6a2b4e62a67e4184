"""Listeners with certificates from files: who is shown which, and what becomes of files that change."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from certificates import Issued, authority, issue, trusting

from pylos.testing import RawClient
from pylos.testing.plugin import GatewayFactory

SITE = '[route.site]\nmatch = "/{rest:path}"\nrespond = { text = "hello" }\n'
PLAIN = '[pylos]\naccess_log = false\n[listen.https]\nbind = "127.0.0.1:0"\n'
SHOP = '[tls.shop]\ncert = "shop.pem"\nkey = "shop.key"\n'


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority()


def test_a_client_that_is_not_ours_gets_its_answer(gateway: GatewayFactory, root: Issued, tmp_path: Path):
    issue("shop.example.com", issuer=authority("Middle", root)).save(tmp_path, "shop")
    (tmp_path / "root.pem").write_text(root.pem)
    file = tmp_path / "gateway.toml"
    file.write_text(PLAIN + 'tls = "shop"\n' + SHOP + SITE)
    port = gateway(file).address().rpartition(":")[2]

    command = ["curl", "--silent", "--show-error", "--cacert", str(tmp_path / "root.pem")]
    command += ["--resolve", f"shop.example.com:{port}:127.0.0.1", f"https://shop.example.com:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stdout) == (0, "hello"), done.stderr


def test_a_client_of_the_test_kit_gets_its_answer(gateway: GatewayFactory, root: Issued, tmp_path: Path):
    issue("shop.example.com", issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    file.write_text(PLAIN + 'tls = "shop"\n' + SHOP + SITE)
    running = gateway(file)

    with RawClient(running.address(), tls=trusting(root), server_name="shop.example.com") as client:
        assert client.get("/").body == b"hello"
        assert client.get("/").body == b"hello"
        assert client.tls
        assert client.tls.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        RawClient(running.address(), tls=trusting(authority("Another")), server_name="shop.example.com")
