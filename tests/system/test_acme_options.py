"""What a configuration says of an authority, in a gateway that serves and in front of Pebble (make test-services)."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from system.asking import NAME, Ground, Grounds, grounds, pylos, shown
from system.dns_server import Zone, name_server
from system.pebble import external_key, free_port
from system.serving import Serve

from pylos.testing import RawClient

pytestmark = pytest.mark.services

CLIENTS = 4
PAUSE = 0.01
WILDCARD = '["*.shop.test"]'


@pytest.fixture
def ground(tmp_path: Path, serve: Serve) -> Iterator[Grounds]:
    with grounds(tmp_path, serve) as make:
        yield make


def started(there: Ground) -> Ground:
    there.pebble.start()
    return there


# -- renewal ----------------------------------------------------------------------------------------------------------


class Visitors:
    """Clients that connect again and again, with a handshake each; `failures` has a line for each bad one."""

    def __init__(self, address: str, trusted: ssl.SSLContext) -> None:
        self.serials: Counter[int] = Counter()
        self.failures: list[str] = []
        self._address, self._trusted = address, trusted
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                with RawClient(self._address, tls=self._trusted, server_name=NAME) as client:
                    assert client.tls
                    found = client.tls.getpeercert(binary_form=True)
                    assert found
                    assert client.get("/").body == b"hello"
                self.serials[x509.load_der_x509_certificate(found).serial_number] += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_short_certificates_are_renewed_while_clients_come(ground: Grounds, challenge: str):
    """They are valid for 24 seconds: nobody is ever shown one that has ended, and no handshake fails."""
    there = started(ground())
    serving = there.serving(f'challenges = ["{challenge}"]', profile="busy")
    serving.hears("certificates_renewed")

    with Visitors(str(serving.ready["listen"]["https"][0]), there.trusted) as visitors:
        for _ in range(2):
            serving.hears("certificates_renewed")
    assert visitors.failures == []
    assert len(visitors.serials) >= 2
    assert visitors.serials.total() > 500


# -- dns-01 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["command", "call"])
def test_a_wildcard_by_a_hook(ground: Grounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str):
    there = started(ground())
    ground.names.write_hook(tmp_path / "records.py")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    how = {"command": f"command = {json.dumps([sys.executable, str(tmp_path / 'records.py')])}"}
    how["call"] = 'call = "records:change"'
    dns = f'dns = {{ {how[by]}, timeout = "20s", wait = "20s", resolvers = ["127.0.0.1:{ground.names.port}"] }}'
    serving = there.serving(f'challenges = ["dns-01"]\n{dns}', domains=WILDCARD)

    serving.hears("certificates_renewed")
    shown(serving, there.trusted, f"any.{NAME}")


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512"])
def test_a_wildcard_by_dynamic_updates(ground: Grounds, monkeypatch: pytest.MonkeyPatch, algorithm: str):
    secret = base64.b64encode(os.urandom(32)).decode()
    monkeypatch.setenv("TSIG", secret)
    zone = Zone(NAME, "gate", secret)
    with name_server(zone) as port:
        there = started(ground(dns=port))
        update = f'server = "127.0.0.1:{port}", key_name = "gate", key = {{ env = "TSIG" }}, ttl = "30s"'
        update += f', algorithm = "{algorithm}", zone = "{NAME}"'
        dns = f'dns = {{ update = {{ {update} }}, resolvers = ["127.0.0.1:{port}"] }}'
        serving = there.serving(f'challenges = ["dns-01"]\n{dns}', domains=WILDCARD)

        serving.hears("certificates_renewed")
        shown(serving, there.trusted, f"any.{NAME}")
    assert [action for action, _ in zone.updates] == ["add", "remove"]


# -- who is asked, and for what ---------------------------------------------------------------------------------------


def test_an_account_that_was_made_elsewhere(ground: Grounds, monkeypatch: pytest.MonkeyPatch):
    key = external_key()
    monkeypatch.setenv("EAB", key)
    there = started(ground(options={"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": key}}))
    serving = there.serving('email = "ops@shop.test"\neab = { key_id = "kid-1", key = { env = "EAB" } }')

    serving.hears("certificates_renewed")
    shown(serving, there.trusted)
    assert key not in "".join(str(one) for one in serving.told)


def test_keys_of_rsa_and_the_chain_that_is_preferred(ground: Grounds):
    there = started(ground(environment={"PEBBLE_ALTERNATE_ROOTS": "2"}))
    root = x509.load_pem_x509_certificate(there.pebble.manage("/roots/2"))
    name = root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    serving = there.serving(f'key_type = "rsa"\npreferred_chain = "{name}"')

    serving.hears("certificates_renewed")
    found = shown(serving, there.trusting(2))
    assert isinstance(found.public_key(), RSAPublicKey)


def test_the_next_authority_is_asked_and_the_first_one_told_of(ground: Grounds):
    there = started(ground())
    down = f"https://127.0.0.1:{free_port()}/dir"
    next_one = f'[acme.next]\ndirectory = "{there.pebble.directory}"\nca = "{there.pebble.folder}/ca.pem"\n'
    serving = there.serving(f'fallback = ["next"]\n{next_one}profile = "default"', directory=down)

    serving.hears("certificates_renewed")
    shown(serving, there.trusted)


def test_an_authority_that_is_down_is_asked_again_and_meanwhile_all_is_served(ground: Grounds):
    there = ground()
    serving = there.serving()
    told = serving.hears("certificate_failed")["message"]
    assert there.pebble.directory in told
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(serving, ssl.create_default_context())

    started(there)
    pylos("certs", "renew", "shop", "-n", "one")
    serving.hears("certificates_renewed")
    shown(serving, there.trusted)


def test_nonces_that_are_refused_are_asked_for_anew(ground: Grounds):
    there = started(ground(environment={"PEBBLE_WFE_NONCEREJECT": "30"}))
    serving = there.serving()

    serving.hears("certificates_renewed")
    shown(serving, there.trusted)
    assert "certificate_failed" not in [one["event"] for one in serving.told]


def test_what_fails_is_tried_at_the_staging_directory(ground: Grounds):
    real, staging = ground(), ground("staging")
    staging.pebble.http, staging.pebble.tls = real.http, real.https
    both = "".join((one.pebble.folder / "ca.pem").read_text() for one in (real, staging))
    (real.folder / "both.pem").write_text(both)
    serving = real.serving(f'staging = "{staging.pebble.directory}"', ca=real.folder / "both.pem")
    serving.hears("certificate_failed")

    started(staging)
    started(real)
    pylos("certs", "renew", "shop", "-n", "one")
    serving.hears("certificates_renewed")
    shown(serving, real.trusted)
    assert "Issued certificate" in staging.pebble.output
