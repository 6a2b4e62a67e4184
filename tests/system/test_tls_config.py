"""Listeners with certificates from files: who is shown which, and what becomes of files that change."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Issued, authority, issue, trusting
from cryptography import x509
from system.serving import Serve, Serving
from typer.testing import CliRunner

from pylos.cli import app
from pylos.testing import EchoUpstream, RawClient
from pylos.testing.plugin import ClientFactory, GatewayFactory

SITE = '[route.site]\nmatch = "/{rest:path}"\nrespond = { text = "hello" }\n'
PLAIN = '[pylos]\naccess_log = false\n[listen.https]\nbind = "127.0.0.1:0"\n'
SHOP = '[tls.shop]\ncert = "shop.pem"\nkey = "shop.key"\n'
WEB = '[upstream.web]\ntargets = ["10.0.0.1:8000"]\n'
BLOG = SHOP.replace("shop", "blog")
NAME = "shop.example.com"


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority()


@pytest.fixture
def document(tmp_path: Path, root: Issued) -> Path:
    """One listener with one certificate."""
    issue(NAME, issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    file.write_text(PLAIN + 'tls = "shop"\n' + SHOP + SITE)
    return file


def serial(address: str, name: str | None = NAME) -> int:
    """Give the serial number of the certificate that is shown to who asks for a name. It is not verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with RawClient(address, tls=context, server_name=name) as client:
        assert client.tls
        shown = client.tls.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


# -- who is shown what ------------------------------------------------------------------------------------------------


def test_a_client_that_is_not_ours_gets_its_answer(gateway: GatewayFactory, document: Path, root: Issued):
    issue(NAME, issuer=authority("Middle", root)).save(document.parent, "shop")
    (document.parent / "root.pem").write_text(root.pem)
    port = gateway(document).address().rpartition(":")[2]

    command = ["curl", "--silent", "--show-error", "--cacert", str(document.parent / "root.pem")]
    command += ["--resolve", f"{NAME}:{port}:127.0.0.1", f"https://{NAME}:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stdout) == (0, "hello"), done.stderr


def test_a_client_of_the_test_kit_gets_its_answer(
    gateway: GatewayFactory, client: ClientFactory, document: Path, root: Issued
):
    running = gateway(document)
    ours = client(running, tls=trusting(root), server_name=NAME)

    assert running.url().startswith("https://127.0.0.1:")
    assert [ours.get(f"https://{NAME}/{number}").body for number in range(3)] == [b"hello"] * 3
    assert ours.tls
    assert ours.tls.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        RawClient(running.address(), tls=trusting(authority("Another")), server_name=NAME)


def test_a_client_of_the_test_kit_comes_again_when_it_was_closed(
    gateway: GatewayFactory, client: ClientFactory, document: Path, root: Issued
):
    document.write_text(document.read_text().replace("[tls.shop]", 'timeouts = { idle = "50ms" }\n[tls.shop]', 1))
    running = gateway(document)
    ours = client(running, tls=trusting(root), server_name=NAME)
    assert ours.get().status == 200
    ours.expect_eof()

    assert ours.get().status == 200
    assert running.explain(f"GET https://{NAME}/").request.scheme == "https"


def test_an_upstream_is_told(gateway: GatewayFactory, client: ClientFactory, document: Path, root: Issued):
    document.write_text(document.read_text().replace('respond = { text = "hello" }', 'to = "web"') + WEB)
    with EchoUpstream() as web:
        running = gateway(document, upstreams={"web": web})
        seen = client(running, tls=trusting(root), server_name=NAME).get(f"https://{NAME}/").json()

    assert ["X-Forwarded-Proto", "https"] in [[name.title(), value] for name, value in seen["headers"]]
    with RawClient(running.address()) as plain:
        plain.send(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
        answer = plain.read_response()
    assert (answer.status, answer.header("pylos-reason")) == (400, "tls_expected")


@pytest.mark.parametrize("sni", ["shop", "blog", "strict"])
def test_the_name_says_which_certificate_is_shown(gateway: GatewayFactory, tmp_path: Path, sni: str):
    shop, blog = issue(NAME, "*.shop.example.com"), issue("blog.example.com")
    shop.save(tmp_path, "shop")
    blog.save(tmp_path, "blog")
    file = tmp_path / "gateway.toml"
    file.write_text(f'{PLAIN}tls = ["shop", "blog"]\nsni = "{sni}"\n{SHOP}{BLOG}{SITE}')
    address = gateway(file).address()

    assert serial(address, NAME) == serial(address, "WWW.shop.example.com") == shop.serial
    assert serial(address, "blog.example.com") == blog.serial
    for other in ("unknown.example", None):
        if sni == "strict":
            with pytest.raises((ssl.SSLError, ConnectionError)):
                serial(address, other)
        else:
            assert serial(address, other) == {"shop": shop, "blog": blog}[sni].serial


def test_keys_may_stand_in_the_environment_or_beside_their_certificates(
    gateway: GatewayFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shop, blog, news = issue(NAME), issue("blog.example.com"), issue("news.example.com")
    monkeypatch.setenv("SHOP_KEY", shop.key_pem)
    shop.save(tmp_path, "shop")
    blog.save(tmp_path, "blog")
    (tmp_path / "news.pem").write_text(news.chain + news.key_pem)
    file = tmp_path / "gateway.toml"
    tables = '[tls.shop]\ncert = ["shop.pem", "blog.pem"]\nkey = [{ env = "SHOP_KEY" }, "blog.key"]\n'
    tables += '[tls.news]\ncert = "news.pem"\n'
    (tmp_path / "shop.key").unlink()
    file.write_text(f'{PLAIN}tls = ["shop", "news"]\nsni = "shop"\n{tables}{SITE}')
    address = gateway(file).address()

    names = (NAME, "blog.example.com", "news.example.com")
    assert [serial(address, name) for name in names] == [one.serial for one in (shop, blog, news)]


def test_a_profile_takes_other_versions_or_not(gateway: GatewayFactory, document: Path, root: Issued):
    old = trusting(root)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    running = gateway(document)
    with RawClient(running.address(), tls=old, server_name=NAME) as client:
        assert client.get().status == 200

    document.write_text(document.read_text().replace(SHOP, SHOP + 'profile = "modern"\n'))
    running.reload()
    with pytest.raises(ssl.SSLError):
        RawClient(running.address(), tls=old, server_name=NAME)
    with RawClient(running.address(), tls=trusting(root), server_name=NAME) as client:
        assert client.get().status == 200


# -- files that change ------------------------------------------------------------------------------------------------


Change = Callable[[], None]


class Watched:
    """A served document of which one certificate is renewed; `old` is the one in use."""

    def __init__(self, serving: Serving, folder: Path, root: Issued) -> None:
        self._serving, self.folder, self._root = serving, folder, root
        self.old = self.shown
        self.new = issue(NAME, issuer=root, called="renewed")

    @property
    def shown(self) -> int:
        return serial(str(self._serving.ready["listen"]["https"][0]))

    def refuses(self, *words: str, by: str = "certificates_refused") -> None:
        """What has changed is refused, in these words, and what was in use is."""
        told = self._serving.hears(by)["message"]
        assert [word for word in words if word not in told] == [], told
        assert "PRIVATE KEY" not in told
        assert self.shown == self.old

    def takes(self, by: str = "certificates_renewed") -> None:
        """The new one is taken by itself."""
        self._serving.hears(by)
        assert self.shown == self.new.serial
        self.old, self.new = self.new.serial, issue(NAME, issuer=self._root, called="renewed again")


@pytest.fixture
def watched(serve: Serve, document: Path, root: Issued) -> Watched:
    return Watched(serve(document), document.parent, root)


def replace(file: Path, text: str) -> None:
    """Put another file in the place of one, as who renews certificates does."""
    draft = file.with_name(file.name + ".new")
    draft.write_text(text)
    draft.replace(file)


def test_a_key_that_comes_after_its_certificate_is_waited_for(watched: Watched):
    replace(watched.folder / "shop.pem", watched.new.chain)
    watched.refuses("`", "shop.key` is not the key of the certificate in `", "shop.pem`")
    replace(watched.folder / "shop.key", watched.new.key_pem)
    watched.takes()


def test_a_file_that_is_cut_off_is_refused_until_it_is_whole(watched: Watched):
    file = watched.folder / "shop.pem"
    (watched.folder / "shop.key").write_text(watched.new.key_pem)
    watched.refuses("is not the key of the certificate")
    file.write_text(watched.new.chain[:400])
    watched.refuses("shop.pem`, line 1: ", "has no `-----END CERTIFICATE-----`: the file is cut off")
    file.write_text(watched.new.chain)
    watched.takes()


def test_garbage_and_a_file_that_is_gone_are_refused_until_they_are_mended(watched: Watched):
    cert, key = watched.folder / "shop.pem", watched.folder / "shop.key"
    cert.write_bytes(bytes(range(256)))
    watched.refuses("shop.pem` holds nothing in PEM")
    cert.unlink()
    watched.refuses("shop.pem` cannot be read: No such file or directory")
    key.write_text("")
    watched.refuses("shop.key` is empty")
    key.write_text(watched.new.key_pem)
    watched.refuses("shop.pem` cannot be read")
    cert.write_text(watched.new.chain)
    watched.takes()


def test_a_file_that_only_a_refused_document_names_is_watched_too(watched: Watched):
    document = watched.folder / "gateway.toml"
    document.write_text(document.read_text().replace("shop.", "other."))
    watched.refuses("other.pem` cannot be read", by="reload_refused")
    watched.new.save(watched.folder, "other")
    # The key is written first, so that there is one thing to be noticed; either way the end is the same.
    watched.takes(by="reloaded")


def test_links_are_turned_as_kubernetes_does(serve: Serve, tmp_path: Path, root: Issued):
    """File -> ..data/file, ..data -> the folder of one version, which is turned twice."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    first = issue(NAME, issuer=root)
    version(mounted, "..1", first)
    for name in ("tls.pem", "tls.key"):
        (mounted / name).symlink_to(f"..data/{name}")
    file = tmp_path / "gateway.toml"
    file.write_text(PLAIN + 'tls = "shop"\n[tls.shop]\ncert = "mounted/tls.pem"\nkey = "mounted/tls.key"\n' + SITE)
    watched = Watched(serve(file), tmp_path, root)

    assert watched.old == first.serial
    for name in ("..2", "..3"):
        version(mounted, name, watched.new)
        watched.takes()


def version(mounted: Path, name: str, issued: Issued) -> None:
    """Make the folder of a version, and turn `..data` to it."""
    (mounted / name).mkdir()
    issued.save(mounted / name, "tls")
    (mounted / "..data_tmp").symlink_to(name)
    (mounted / "..data_tmp").replace(mounted / "..data")


# -- what is told -----------------------------------------------------------------------------------------------------


def test_no_command_shows_a_key(serve: Serve, document: Path, root: Issued):
    served, folder = serve(document), document.parent
    secret = "".join((folder / "shop.key").read_text().splitlines()[1:-1])
    renewed = issue(NAME, issuer=root)
    renewed.save(folder, "shop")
    served.hears("certificates_renewed")
    other = folder / "other.toml"
    other.write_text(document.read_text().replace(SHOP, SHOP + "tickets = false\n"))

    told = ""
    commands = (["history"], ["history", "1"], ["diff", str(other)], ["diff", str(other), "--json"], ["status"])
    for command in (*commands, ["explain", "GET", "/", "--live"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code in (0, 1), done.output
        told += done.output

    assert f"serial {renewed.serial:x}" in told
    assert [line for line in ("PRIVATE KEY", secret[:40], json.dumps(secret)[1:40]) if line in told] == []
