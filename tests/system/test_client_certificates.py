"""Certificates of clients: who is let in, who is kept out and with which reason, and who they are then."""

from __future__ import annotations

import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from certificates import Issued, authority, issue, revocations, shown_by, trusting
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from system.serving import Serve

from pylos.testing import EchoUpstream, GatewayUnderTest, RawClient, Response
from pylos.testing.plugin import GatewayFactory

NAME = "partners.example.com"
DOCUMENT = """\
[pylos]
access_log = false
[listen.https]
bind = "127.0.0.1:0"
tls = "partners"
[listen.ops]
bind = "127.0.0.1:0"
serve = ["metrics"]
[tls.partners]
cert = "partners.pem"
key = "partners.key"
client = { ca = "ca.pem"%s }
[route.all]
match = "/{rest:path}"
%s
"""
HELLO = 'respond = { text = "hello" }'

Start = Callable[..., GatewayUnderTest]


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority("Partners Root")


@pytest.fixture(scope="module")
def middle(root: Issued) -> Issued:
    return authority("Partners Middle", root)


@pytest.fixture(scope="module")
def site() -> Issued:
    """Who vouches for the gateway."""
    return authority("Site")


@pytest.fixture
def start(gateway: GatewayFactory, tmp_path: Path, root: Issued, site: Issued) -> Start:
    """Start a gateway whose `client` has these further keys."""
    issue(NAME, "other.example.com", issuer=site).save(tmp_path, "partners")
    (tmp_path / "ca.pem").write_text(root.pem)
    file = tmp_path / "gateway.toml"

    def begin(client: str = "", action: str = HELLO, more: str = "", **options: object) -> GatewayUnderTest:
        file.write_text(DOCUMENT % (client, action) + more)
        return gateway(file, **options)

    return begin


def partner(issuer: Issued, called: str = "orders", *names: str) -> Issued:
    return issue(*names, issuer=issuer, called=called, uses=[ExtendedKeyUsageOID.CLIENT_AUTH])


def get(running: GatewayUnderTest, context: ssl.SSLContext, name: str = NAME, **fields: str) -> Response:
    with RawClient(running.address("https"), tls=context, server_name=name) as client:
        return client.request("GET", "/", host=name, headers=list(fields.items()))


def kept_out(running: GatewayUnderTest, context: ssl.SSLContext) -> None:
    """In TLS 1.3 a client learns of that when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        get(running, context)


def counted(running: GatewayUnderTest, result: str) -> int:
    with RawClient(running.address("ops")) as client:
        page = client.get("/metrics").body.decode()
    line = f'pylos_tls_handshakes_total{{listener="https",result="{result}",'
    return sum(int(found.rpartition(" ")[2]) for found in page.splitlines() if found.startswith(line))


# -- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_only_who_is_vouched_for_is_let_in(
    start: Start, tmp_path: Path, root: Issued, site: Issued, version: ssl.TLSVersion
):
    running = start()
    ours = shown_by(partner(root), tmp_path, site)
    stranger = shown_by(partner(authority("Somebody")), tmp_path, site)
    expired = shown_by(
        issue(issuer=root, called="late", days=-1, since=9, uses=[ExtendedKeyUsageOID.CLIENT_AUTH]), tmp_path, site
    )
    server = shown_by(issue("a.example.com", issuer=root), tmp_path, site)
    for context in (ours, stranger, expired, server):
        context.minimum_version = context.maximum_version = version

    assert get(running, ours).body == b"hello"
    for context in (stranger, expired, server):
        kept_out(running, context)
    kept_out(running, trusting(site))
    assert (counted(running, "full"), counted(running, "no_certificate"), counted(running, "certificate")) == (1, 1, 3)


def test_one_in_between_may_come_from_the_client_or_from_the_file(
    start: Start, tmp_path: Path, root: Issued, middle: Issued, site: Issued
):
    running = start()
    leaf = partner(middle)
    with_chain, alone = shown_by(leaf, tmp_path, site), trusting(site)
    (tmp_path / "alone.pem").write_text(leaf.pem)
    (tmp_path / "alone.key").write_text(leaf.key_pem)
    alone.load_cert_chain(tmp_path / "alone.pem", tmp_path / "alone.key")

    assert get(running, with_chain).status == 200
    kept_out(running, alone)
    (tmp_path / "ca.pem").write_text(root.pem + middle.pem)
    running.reload()
    assert get(running, alone).status == 200


def test_where_it_is_optional_routes_ask_for_it(start: Start, tmp_path: Path, root: Issued, site: Issued):
    asking = '[policy.partners]\ntype = "mtls"\n[route.orders]\nmatch = "/orders"\nrespond = {}\nuse = ["partners"]\n'
    running = start(', mode = "optional"', more=asking)
    ours, nobody = shown_by(partner(root), tmp_path, site), trusting(site)
    stranger = shown_by(partner(authority("Somebody")), tmp_path, site)

    def asks(context: ssl.SSLContext, path: str) -> tuple[int, str | None]:
        with RawClient(running.address("https"), tls=context, server_name=NAME) as client:
            answer = client.request("GET", path, host=NAME)
        return answer.status, answer.header("pylos-reason")

    assert [asks(ours, path) for path in ("/", "/orders")] == [(200, None)] * 2
    assert [asks(nobody, path) for path in ("/", "/orders")] == [(200, None), (403, "client_certificate_required")]
    kept_out(running, stranger)


# -- who they are -----------------------------------------------------------------------------------------------------

WHO = """use = ["partners", "known"]
%s
[policy.partners]
type = "mtls"
[policy.known]
type = "headers"
if = "client.id == 'mtls:CN=orders' && 'spiffe://example/orders' in client.claims.uri"
response = { set = { x-known = "orders" } }
"""


def test_the_subject_and_the_names_say_who_it_is(start: Start, tmp_path: Path, root: Issued, site: Issued):
    running = start(action=WHO % HELLO)
    ours = issue_for(root, "orders", "spiffe://example/orders")
    other = issue_for(root, "orders", "spiffe://example/other")
    tricky = issue_for(root, "x,CN=orders", "spiffe://example/orders")

    answers = [get(running, shown_by(one, tmp_path, site)) for one in (ours, other, tricky)]
    assert [(one.status, one.header("x-known")) for one in answers] == [(200, "orders"), (200, None), (200, None)]


def issue_for(issuer: Issued, called: str, uri: str) -> Issued:
    """Issue a client's certificate with a URI for its name."""
    plain = partner(issuer, called)
    builder = (
        x509.CertificateBuilder()
        .subject_name(plain.certificate.subject)
        .issuer_name(plain.certificate.issuer)
        .public_key(plain.key.public_key())  # type: ignore[arg-type]
        .serial_number(plain.serial)
        .not_valid_before(plain.certificate.not_valid_before_utc)
        .not_valid_after(plain.certificate.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
    )
    signed = builder.sign(issuer.key, plain.certificate.signature_hash_algorithm)  # type: ignore[arg-type]
    return Issued(signed, plain.key, issuer)


def test_targets_are_told_the_certificate_and_nothing_else(start: Start, tmp_path: Path, root: Issued, site: Issued):
    forged = {"Client-Cert": ":Zm9yZ2Vk:", "Client-Cert-Chain": ":Zm9yZ2Vk:", "client_cert": ":Zm9yZ2Vk:"}
    ours = partner(root)
    with EchoUpstream() as web:
        more = '[upstream.web]\ntargets = ["10.0.0.1:80"]\n'
        running = start(", forward = true", 'to = "web"', more, upstreams={"web": web})
        told = told_to(get(running, shown_by(ours, tmp_path, site), **forged))
        quiet = start("", 'to = "web"', more, upstreams={"web": web})
        nothing = told_to(get(quiet, shown_by(ours, tmp_path, site), **forged))

    assert nothing == {}
    assert list(told) == ["client-cert"]
    sent = told["client-cert"]
    assert sent[0] == sent[-1] == ":"
    assert x509.load_der_x509_certificate(b64decode(sent[1:-1], validate=True)) == ours.certificate


def told_to(answer: Response) -> dict[str, str]:
    """What an upstream was told of certificates."""
    fields = {name.lower().replace("_", "-"): value for name, value in answer.json()["headers"]}
    return {name: value for name, value in fields.items() if name.startswith("client-cert")}


# -- what was revoked -------------------------------------------------------------------------------------------------


def test_of_an_intermediate_ones_list_who_is_on_it_is_kept_out(
    start: Start, tmp_path: Path, root: Issued, middle: Issued, site: Issued
):
    a, b = partner(middle, "a"), partner(middle, "b")
    (tmp_path / "ca.pem").write_text(root.pem + middle.pem)
    (tmp_path / "middle.crl").write_text(revocations(middle, b))
    running = start(', crl = "middle.crl"')

    assert get(running, shown_by(a, tmp_path, site)).status == 200
    kept_out(running, shown_by(b, tmp_path, site))
    assert counted(running, "revoked") == 1
    (tmp_path / "middle.crl").write_text(revocations(middle))
    running.reload()
    assert get(running, shown_by(b, tmp_path, site)).status == 200


def test_of_a_whole_chain_each_one_has_a_list(start: Start, tmp_path: Path, root: Issued, middle: Issued, site: Issued):
    a = shown_by(partner(middle, "a"), tmp_path, site)
    (tmp_path / "ca.pem").write_text(root.pem + middle.pem)
    (tmp_path / "both.crl").write_text(revocations(middle) + revocations(root))
    running = start(', crl = "both.crl", crl_scope = "chain"')

    assert get(running, a).status == 200
    (tmp_path / "both.crl").write_text(revocations(middle) + revocations(root, middle))
    running.reload()
    kept_out(running, a)
    assert counted(running, "revoked") == 1


def test_a_list_that_is_out_of_date_keeps_all_out_and_says_so(serve: Serve, tmp_path: Path, root: Issued, site: Issued):
    issue(NAME, issuer=site).save(tmp_path, "partners")
    (tmp_path / "ca.pem").write_text(root.pem)
    (tmp_path / "old.crl").write_text(revocations(root, days=-1))
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENT % (', crl = "old.crl"', HELLO))
    served = serve(file)
    ours = shown_by(partner(root), tmp_path, site)

    address = str(served.ready["listen"]["https"][0])
    with (
        pytest.raises((ssl.SSLError, ConnectionError, EOFError)),
        RawClient(address, tls=ours, server_name=NAME) as client,
    ):
        client.get("/")

    assert served.hears("handshakes_refused")["reason"] == "crl_expired"


def test_no_list_of_who_has_issued_it_is_told_apart(
    start: Start, tmp_path: Path, root: Issued, middle: Issued, site: Issued
):
    (tmp_path / "root.crl").write_text(revocations(root))
    running = start(', crl = "root.crl"')

    kept_out(running, shown_by(partner(middle), tmp_path, site))
    assert counted(running, "no_crl") == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_lets_nobody_in_who_was_revoked_meanwhile(
    start: Start, tmp_path: Path, root: Issued, site: Issued, version: ssl.TLSVersion
):
    ours = partner(root)
    context = shown_by(ours, tmp_path, site)
    context.maximum_version = version
    (tmp_path / "root.crl").write_text(revocations(root))
    running = start(', crl = "root.crl"')

    def session(former: ssl.SSLSession | None = None) -> tuple[ssl.SSLSession | None, bool | None]:
        host, _, port = running.address("https").rpartition(":")
        with context.wrap_socket(
            socket.create_connection((host, int(port)), 10), server_hostname=NAME, session=former
        ) as sock:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            if not sock.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise ConnectionError
            return sock.session, sock.session_reused

    first, _ = session()
    second, again = session(first)
    assert again
    (tmp_path / "root.crl").write_text(revocations(root, ours))
    running.reload()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        session(second)


def test_an_open_connection_is_looked_up_again_after_a_reload(start: Start, tmp_path: Path, root: Issued, site: Issued):
    good, bad = partner(root, "good"), partner(root, "bad")
    (tmp_path / "root.crl").write_text(revocations(root))
    running = start(', crl = "root.crl"')
    with ExitStack() as open_ones:
        contexts = [shown_by(one, tmp_path, site) for one in (good, bad)]
        clients = [
            open_ones.enter_context(RawClient(running.address("https"), tls=one, server_name=NAME)) for one in contexts
        ]
        assert [client.request("GET", "/", host=NAME).status for client in clients] == [200, 200]
        (tmp_path / "root.crl").write_text(revocations(root, bad))
        running.reload()

        answers = [client.request("GET", "/", host=NAME) for client in clients]

    assert [(one.status, one.header("pylos-reason")) for one in answers] == [(200, None), (421, "misdirected")]


def test_one_who_is_revoked_reaches_no_admin_page_and_no_unnamed_host(
    gateway: GatewayFactory, tmp_path: Path, root: Issued, site: Issued
):
    """An open connection is looked up again whatever it asks for."""
    good, bad = partner(root, "good"), partner(root, "bad")
    issue(NAME, issuer=site).save(tmp_path, "partners")
    (tmp_path / "ca.pem").write_text(root.pem)
    (tmp_path / "root.crl").write_text(revocations(root))
    file = tmp_path / "gateway.toml"
    lines = 'tls = "partners"\nsni = "strict"\n'
    text = (DOCUMENT % (', crl = "root.crl"', HELLO)).replace('tls = "partners"\n', lines)
    file.write_text(text.replace('serve = ["metrics"]', f'serve = ["metrics"]\n{lines}'))
    running = gateway(file)
    with ExitStack() as open_ones:
        contexts = [shown_by(one, tmp_path, site) for one in (good, bad)]
        clients = [
            open_ones.enter_context(RawClient(running.address(listener), tls=one, server_name=NAME))
            for listener in ("https", "ops")
            for one in contexts
        ]
        asked = [("/", "x.invalid")] * 2 + [("/metrics", NAME)] * 2
        pairs = list(zip(clients, asked, strict=True))
        assert [one.request("GET", path, host=host).status for one, (path, host) in pairs] == [200] * 4
        (tmp_path / "root.crl").write_text(revocations(root, bad))
        running.reload()

        assert [one.request("GET", path, host=host).status for one, (path, host) in pairs] == [200, 421] * 2


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_what_is_asked_for_first_after_a_reload_is_asked_of_open_connections_too(
    gateway: GatewayFactory, tmp_path: Path, root: Issued, site: Issued, mode: str
):
    issue(NAME, issuer=site).save(tmp_path, "partners")
    (tmp_path / "ca.pem").write_text(root.pem)
    file = tmp_path / "gateway.toml"
    text = DOCUMENT % (f', mode = "{mode}"', HELLO)
    text = text.replace('serve = ["metrics"]', 'serve = ["metrics"]\ntls = "partners"')
    file.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("client = ")))
    running = gateway(file)
    with RawClient(running.address("ops"), tls=trusting(site), server_name=NAME) as client:
        assert client.request("GET", "/metrics", host=NAME).status == 200
        file.write_text(text)
        running.reload()
        assert client.request("GET", "/metrics", host=NAME).status == 421


def test_another_name_of_the_same_rules_parts_with_nobody(start: Start, tmp_path: Path, root: Issued, site: Issued):
    running = start()
    with RawClient(running.address("https"), tls=shown_by(partner(root), tmp_path, site), server_name=NAME) as client:
        assert client.request("GET", "/", host=NAME).status == 200
        text = DOCUMENT % ("", HELLO)
        renamed = text.replace('tls = "partners"', 'tls = "friends"').replace("[tls.partners]", "[tls.friends]")
        (tmp_path / "gateway.toml").write_text(renamed)
        running.reload()
        assert client.request("GET", "/", host=NAME).status == 200


def test_targets_are_told_or_not_as_the_configuration_of_now_says(
    start: Start, tmp_path: Path, root: Issued, site: Issued
):
    ours = partner(root)
    file = tmp_path / "gateway.toml"
    with EchoUpstream() as web:
        more = '[upstream.web]\ntargets = ["10.0.0.1:80"]\n'
        running = start("", 'to = "web"', more, upstreams={"web": web})
        with RawClient(running.address("https"), tls=shown_by(ours, tmp_path, site), server_name=NAME) as client:
            told = [list(told_to(client.request("GET", "/", host=NAME)))]
            for forward in (", forward = true", ""):
                file.write_text(DOCUMENT % (forward, 'to = "web"') + more)
                running.reload()
                told.append(list(told_to(client.request("GET", "/", host=NAME))))

    assert told == [[], ["client-cert"], []]


# -- which name -------------------------------------------------------------------------------------------------------

TWO = """[pylos]
access_log = false
[listen.https]
bind = "127.0.0.1:0"
tls = ["open", "plain", "partners"]
sni = "open"
[tls.open]
cert = "open.pem"
key = "open.key"
[tls.plain]
cert = "plain.pem"
key = "plain.key"
[tls.partners]
cert = "partners.pem"
key = "partners.key"
client = { ca = "ca.pem" }
[route.all]
match = ["open.example.com/{rest:path}", "plain.example.com/{rest:path}", "partners.example.com/{rest:path}"]
respond = { text = "hello" }
"""


def test_a_request_comes_by_the_rules_of_its_host(gateway: GatewayFactory, tmp_path: Path, root: Issued, site: Issued):
    for name in ("open", "plain", "partners"):
        issue(f"{name}.example.com", issuer=site).save(tmp_path, name)
    (tmp_path / "ca.pem").write_text(root.pem)
    file = tmp_path / "gateway.toml"
    file.write_text(TWO)
    running = gateway(file)
    ours = shown_by(partner(root), tmp_path, site)

    def asks(name: str, host: str) -> tuple[int, str | None]:
        with RawClient(running.address("https"), tls=ours, server_name=f"{name}.example.com") as client:
            answer = client.request("GET", "/", host=host)
        return answer.status, answer.header("pylos-reason")

    assert asks("open", "open.example.com") == asks("open", "plain.example.com") == (200, None)
    assert asks("partners", "partners.example.com") == (200, None)
    assert asks("open", "partners.example.com") == asks("open", "PARTNERS.example.com:443") == (421, "misdirected")
    assert asks("partners", "open.example.com") == (421, "misdirected")
    assert asks("open", "unknown.example.com") == asks("partners", "unknown.example.com") == (404, "no_route")


def test_time_is_not_lost(start: Start, site: Issued):
    """A refusal is told at once, and not after a timeout."""
    running = start()
    began = time.monotonic()
    kept_out(running, trusting(site))
    assert time.monotonic() - began < 5
