"""Certificates that come by themselves, in a gateway that serves: of this machine, and of an authority."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from system.asking import NAME, SITE, Ground, grounds, pylos, shown, trusting
from system.serving import Serve

from pylos import Config, Gateway
from pylos.testing import RawClient
from pylos.testing.plugin import GatewayFactory

LOCAL = """\
[pylos]
access_log = false
state = "{folder}/state"
[listen.https]
bind = "127.0.0.1:0"
tls = "shop"
[tls.shop]
acme = "local"
domains = ["shop.test", "*.shop.test"]
""" + SITE.replace("{", "{{").replace("}", "}}")


# -- of this machine --------------------------------------------------------------------------------------------------


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(LOCAL.format(folder=tmp_path))
    return file


def test_who_trusts_the_root_trusts_it_from_the_first_connection_on(serve: Serve, document: Path):
    serving = serve(document)
    trusted = trusting(pylos("certs", "trust", "-"))
    first = shown(serving, trusted)

    assert shown(serving, trusted, f"blog.{NAME}") == first
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(serving, trusted, "other.test")
    serving.events()
    serving.process.wait(20)
    assert shown(serve(document), trusted) == first


def test_no_connection_notices_a_renewal(serve: Serve, document: Path):
    serving = serve(document)
    trusted = trusting(pylos("certs", "trust", "-"))
    first = shown(serving, trusted)
    with RawClient(str(serving.ready["listen"]["https"][0]), tls=trusted, server_name=NAME) as open_before:
        assert open_before.get("/").status == 200
        pylos("certs", "renew", "shop", "-n", "default")
        serving.hears("certificates_renewed")
        assert open_before.get("/").status == 200
    assert shown(serving, trusted) != first


def test_it_outlives_an_upgrade_and_goes_on_after_it(serve: Serve, document: Path):
    serving = serve(document)
    trusted = trusting(pylos("certs", "trust", "-"))
    first = shown(serving, trusted)
    serving.signal(signal.SIGUSR2)
    serving.hears("upgraded")

    assert shown(serving, trusted) == first
    pylos("certs", "renew", "shop")
    serving.hears("certificates_renewed")
    assert shown(serving, trusted) != first


def test_a_program_has_them_too_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    config = Config(
        listen={"https": {"bind": "127.0.0.1:0", "tls": "shop"}},
        tls={"shop": {"acme": "local", "domains": [NAME]}},
        route={"site": {"match": "/{rest:path}", "respond": {"text": "hello"}}},
    )
    with Gateway(config) as running:
        assert issuer(running.address()).startswith("CN=Pylos local authority ")
        assert [path.name[:11] for path in tmp_path.iterdir()] == ["pylos-acme-"]
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_under_test_asks_nobody(gateway: GatewayFactory, tmp_path: Path):
    file = tmp_path / "gateway.toml"
    text = LOCAL.format(folder=tmp_path).replace('acme = "local"\ndomains = ["shop.test", "*.shop.test"]', ASKED)
    file.write_text(text)

    assert issuer(gateway(file).address()) == "CN=Pylos stand-in"
    assert not (tmp_path / "state").exists()


ASKED = 'acme = "letsencrypt"\ndomains = ["shop.test"]\n[acme.letsencrypt]\nemail = "ops@example.com"'


def issuer(address: str) -> str:
    """Say who has issued what is shown. It is not verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with RawClient(address, tls=context, server_name=NAME) as client:
        assert client.tls
        found = client.tls.getpeercert(binary_form=True)
        assert client.get("/").body == b"hello"
    assert found
    return x509.load_der_x509_certificate(found).issuer.rfc4514_string()


# -- of an authority --------------------------------------------------------------------------------------------------


@pytest.fixture
def ground(tmp_path: Path, serve: Serve) -> Iterator[Ground]:
    with grounds(tmp_path, serve) as make:
        found = make()
        found.pebble.start()
        yield found


@pytest.mark.services
@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_an_authority_is_answered_and_its_certificate_shown(ground: Ground, challenge: str):
    serving = ground.serving(f'challenges = ["{challenge}"]')
    assert serving.hears("certificate_stand_in")["certificate"] == "shop"
    serving.hears("certificates_renewed")
    first = shown(serving, ground.trusted)

    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(names.get_values_for_type(x509.DNSName)) == ["shop.test", "www.shop.test"]
    (row,) = json.loads(pylos("certs", "-c", str(ground.folder / "one.toml"), "-n", "one", "--json"))
    assert (row["acme"], row["state"], row["error"]) == ("pebble", "valid", None)
    assert row["serial"] == f"{first.serial_number:x}"
    with RawClient(f"127.0.0.1:{ground.http}") as client:  # all else goes on as before
        assert client.get(f"http://{NAME}/.well-known/acme-challenge/unknown").status == 308


@pytest.mark.services
@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_another_machine_answers_and_has_the_certificate_too(ground: Ground, challenge: str):
    more = f'challenges = ["{challenge}"]\nstorage = "{ground.folder}/shared"'
    answering = ground.serving(more, machine="one")
    answering.hears("certificates_renewed")
    before = shown(answering, ground.trusted)
    asking = ground.serving(more, machine="two", http=0, https=0)
    assert shown(asking, ground.trusted) == before

    pylos("certs", "renew", "shop", "-n", "two")
    asking.hears("certificates_renewed")
    assert shown(asking, ground.trusted) != before
