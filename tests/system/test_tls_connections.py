"""What becomes of connections by TLS: redirects to them, their ends, and records that come in pieces."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Issued, authority, issue, rsa_key, trusting
from cryptography import x509
from system.serving import Serve

from pylos.testing import GatewayUnderTest, RawClient, ScriptedUpstream, UpstreamConnection
from pylos.testing.plugin import GatewayFactory

NAME = "shop.example.com"
DOCUMENT = """\
[pylos]
access_log = false
[listen.https]
bind = "127.0.0.1:0"
tls = "shop"
%s
[tls.shop]
cert = "shop.pem"
key = "shop.key"
[upstream.web]
targets = ["10.0.0.1:80"]
[route.hello]
match = "/hello"
respond = { text = "hello" }
[route.all]
match = "/{rest:path}"
to = "web"
"""


@dataclass
class Resumable:
    """What is left of a connection."""

    session: ssl.SSLSession | None
    reused: bool


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority()


def started(
    gateway: GatewayFactory, folder: Path, root: Issued, lines: str = "", **upstreams: ScriptedUpstream
) -> GatewayUnderTest:
    issue(NAME, issuer=root).save(folder, "shop")
    file = folder / "gateway.toml"
    file.write_text(DOCUMENT % lines)
    return gateway(file, upstreams=upstreams)


def raw(running: GatewayUnderTest) -> socket.socket:
    return connected(running.address("https"))


def connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 10)


def spoken(running: GatewayUnderTest, root: Issued) -> ssl.SSLSocket:
    """A connection on which an end without a word is an error."""
    return trusting(root).wrap_socket(raw(running), server_hostname=NAME, suppress_ragged_eofs=False)


def read_all(sock: ssl.SSLSocket) -> bytes:
    """Read to the end; raises ssl.SSLEOFError where that is not told."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


# -- handshakes -------------------------------------------------------------------------------------------------------


def session_of(address: str, context: ssl.SSLContext, former: ssl.SSLSession | None = None) -> Resumable:
    """Ask once, going on with a former session if there is one."""
    with context.wrap_socket(connected(address), server_hostname=NAME, session=former) as sock:
        sock.sendall(f"GET /hello HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        return Resumable(sock.session, bool(sock.session_reused))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tickets", [True, False])
def test_sessions_are_resumed_where_there_are_tickets(
    gateway: GatewayFactory, tmp_path: Path, root: Issued, version: ssl.TLSVersion, *, tickets: bool
):
    context = trusting(root)
    context.maximum_version = version
    issue(NAME, issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    said = "" if tickets else "tickets = false\n"
    file.write_text((DOCUMENT % "").replace("[tls.shop]\n", f"[tls.shop]\n{said}"))
    running = gateway(file)

    first = session_of(running.address("https"), context)
    second = session_of(running.address("https"), context, first.session)

    assert (first.reused, second.reused) == (False, tickets)


def test_the_process_after_an_upgrade_takes_tickets_of_the_one_before(serve: Serve, tmp_path: Path, root: Issued):
    issue(NAME, issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    file.write_text((DOCUMENT % "").replace("access_log = false", f'access_log = false\nstate = "{tmp_path}/state"'))
    served, context = serve(file), trusting(root)
    address = str(served.ready["listen"]["https"][0])
    first = session_of(address, context)
    served.signal(signal.SIGUSR2)
    served.hears("upgraded")

    assert session_of(address, context, first.session).reused


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
def test_a_handshake_has_its_time(gateway: GatewayFactory, tmp_path: Path, root: Issued, said: bytes):
    running = started(gateway, tmp_path, root, 'timeouts = { handshake = "200ms" }')
    with raw(running) as sock:
        sock.sendall(said)
        assert sock.recv(65536) == b""


def test_so_many_handshakes_are_under_way(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    """One that has said whom it wants has a seat, until it is done; silent ones have none."""
    issue(NAME, issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    file.write_text((DOCUMENT % "limits = { handshakes = 1 }").replace("false", "false\nworkers = 1", 1))
    running = gateway(file)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = trusting(root).wrap_bio(incoming, outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    with raw(running), raw(running), raw(running) as seated:
        with spoken(running, root):
            pass  # beside silent ones
        seated.sendall(outgoing.read())
        assert seated.recv(65536)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            spoken(running, root)
    with spoken(running, root):
        pass


def test_who_can_verify_both_is_shown_the_one_on_p_256(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    issue(NAME, issuer=root).save(tmp_path, "ec")
    issue(NAME, issuer=root, key=rsa_key()).save(tmp_path, "rsa")
    file = tmp_path / "gateway.toml"
    both = 'cert = ["rsa.pem", "ec.pem"]\nkey = ["rsa.key", "ec.key"]\n'
    file.write_text((DOCUMENT % "").replace('cert = "shop.pem"\nkey = "shop.key"\n', both))
    running = gateway(file)

    def kind(ciphers: str) -> str:
        context = trusting(root)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        with context.wrap_socket(raw(running), server_hostname=NAME) as sock:
            agreed = sock.cipher()
        assert agreed
        return agreed[0]

    assert "ECDSA" in kind("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    assert "RSA" in kind("ECDHE-RSA-AES128-GCM-SHA256")


def test_a_protocol_is_agreed_on_or_the_handshake_refused(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    running = started(gateway, tmp_path, root)
    context = trusting(root)
    context.set_alpn_protocols(["x", "http/1.1"])
    with context.wrap_socket(raw(running), server_hostname=NAME) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["x"])
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(raw(running), server_hostname=NAME)


# -- from http to https -----------------------------------------------------------------------------------------------


def test_everything_is_sent_on_to_https(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    more = '[listen.http]\nbind = "127.0.0.1:0"\nredirect = "https%s"\n'
    for said, port in (("", ""), (":8443", ":8443")):
        with ScriptedUpstream() as web:
            running = started(gateway, tmp_path, root, more % said, web=web)
            with RawClient(running.address("http")) as client:
                client.send(b"POST /app/x?q=%20&r HTTP/1.1\r\nHost: shop.example.com:8080\r\nContent-Length: 0\r\n\r\n")
                answer = client.read_response()
        assert (answer.status, answer.header("location")) == (308, f"https://shop.example.com{port}/app/x?q=%20&r")
        assert web.requests == []


def hello_with(more: bytes) -> bytes:
    """Give a client's first message, with something behind it in the same record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    record = outgoing.read()
    content = record[5:] + more
    return record[:3] + len(content).to_bytes(2) + content


@pytest.mark.parametrize("more", [b"\0", b"\x14\0\0\0", b"\x14\0\0\x20" + bytes(9), b"\x14\0\0\0" * 300])
def test_what_follows_a_hello_in_its_record_is_refused_in_order(
    gateway: GatewayFactory, tmp_path: Path, root: Issued, more: bytes
):
    """With the alert that belongs to it, counted, and without a defect."""
    running = started(gateway, tmp_path, root, '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics"]\n')
    with raw(running) as sock:
        sock.sendall(hello_with(more))
        alert = sock.recv(100)
        assert sock.recv(100) == b""
    with RawClient(running.address("ops")) as client:
        page = client.get("/metrics").body.decode()

    assert (alert[0], alert[5]) == (21, 2)
    assert 'pylos_tls_handshakes_total{listener="https",result="malformed",version=""} 1\n' in page
    with spoken(running, root):
        pass


def test_who_answers_is_said_by_the_configuration_of_then(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    """A client connects, says nothing while the configuration changes, and says then whom it wants."""
    running = started(gateway, tmp_path, root)
    issue("api.example.com", issuer=root).save(tmp_path, "api")
    file = tmp_path / "gateway.toml"
    with raw(running) as sock:
        text = file.read_text().replace('tls = "shop"', 'tls = ["api", "shop"]\nsni = "api"')
        file.write_text(text + '[tls.api]\ncert = "api.pem"\nkey = "api.key"\n')
        running.reload()
        with trusting(root).wrap_socket(sock, server_hostname=NAME) as secure:
            assert secure.getpeercert()


def test_metrics_tell_versions_and_the_end_of_certificates(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    running = started(gateway, tmp_path, root, '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics"]\n')
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3):
        context = trusting(root)
        context.maximum_version = version
        with RawClient(running.address("https"), tls=context, server_name=NAME) as client:
            assert client.get("/hello").status == 200
    with RawClient(running.address("ops")) as client:
        page = client.get("/metrics").body.decode()

    shown = x509.load_pem_x509_certificate((tmp_path / "shop.pem").read_bytes())
    for version, count in (("1.2", 1), ("1.3", 2)):
        labels = f'listener="https",result="full",version="{version}"'
        assert f"pylos_tls_handshakes_total{{{labels}}} {count}\n" in page
    labels = f'tls="shop",name="{NAME}",serial="{shown.serial_number:x}"'
    ends = int(shown.not_valid_after_utc.timestamp())
    found = [
        line for line in page.splitlines() if line.startswith("pylos_tls_certificate_not_after_timestamp_seconds{")
    ]
    assert [line.replace('serial="0', 'serial="') for line in found] == [
        f"pylos_tls_certificate_not_after_timestamp_seconds{{{labels}}} {ends}"
    ]


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", ["", 'timeouts = { idle = "100ms" }'])
def test_an_end_in_order_is_told(gateway: GatewayFactory, tmp_path: Path, root: Issued, lines: str):
    running = started(gateway, tmp_path, root, lines)
    with spoken(running, root) as sock:
        close = "" if lines else "Connection: close\r\n"
        sock.sendall(f"GET /hello HTTP/1.1\r\nHost: {NAME}\r\n{close}\r\n".encode())
        assert read_all(sock).endswith(b"\r\n\r\nhello")


def test_a_body_that_ends_with_the_connection_is_told_to_be_whole(
    gateway: GatewayFactory, tmp_path: Path, root: Issued
):
    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    with ScriptedUpstream(serve=story) as web, spoken(started(gateway, tmp_path, root, web=web), root) as sock:
        sock.sendall(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        assert read_all(sock).endswith(b"\r\n\r\nhello")


def test_an_answer_that_breaks_off_is_not(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    with ScriptedUpstream(serve=story) as web, spoken(started(gateway, tmp_path, root, web=web), root) as sock:
        sock.sendall(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            read_all(sock)


def test_a_client_that_says_goodbye_with_its_request_is_served_and_let_go(
    gateway: GatewayFactory, tmp_path: Path, root: Issued
):
    running = started(gateway, tmp_path, root, 'timeouts = { idle = "1h" }')
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = trusting(root).wrap_bio(incoming, outgoing, server_hostname=NAME)
    with raw(running) as sock:
        shake_hands(session, incoming, outgoing, sock)
        session.write(f"GET /hello HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        with pytest.raises(ssl.SSLWantReadError):
            session.unwrap()
        sock.sendall(outgoing.read())  # both in one segment, and no FIN behind it
        data = b""
        while piece := sock.recv(65536):
            data += piece
    assert data


def shake_hands(session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, sock: socket.socket) -> None:
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
        else:
            sock.sendall(outgoing.read())
            return


# -- records ----------------------------------------------------------------------------------------------------------


def records(root: Issued, sock: socket.socket, data: bytes) -> bytes:
    """Shake hands, and give the records of some text without sending them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = trusting(root).wrap_bio(incoming, outgoing, server_hostname=NAME)
    shake_hands(session, incoming, outgoing, sock)
    session.write(data)
    return outgoing.read()


def test_a_record_that_trickles_has_the_time_of_a_head(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    running = started(gateway, tmp_path, root, 'timeouts = { header = "500ms", idle = "1h" }')
    with raw(running) as sock:
        record = records(root, sock, f"GET /hello HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        sock.sendall(record[:1])
        while sock.recv(65536):
            pass  # tickets, then 408, then the end


def test_a_slow_body_in_large_records_is_waited_for(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    body = b"x" * 16000
    head = f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    with ScriptedUpstream() as web:
        running = started(
            gateway, tmp_path, root, 'timeouts = { body_idle = "400ms" }\nlimits = { body_rate = "1KiB" }', web=web
        )
        with raw(running) as sock:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = trusting(root).wrap_bio(incoming, outgoing, server_hostname=NAME)
            shake_hands(session, incoming, outgoing, sock)
            session.write(head)
            sock.sendall(outgoing.read())
            session.write(body)
            record = outgoing.read()
            pause = threading.Event()
            for at in range(0, len(record), 2000):  # longer in all than `body_idle`, and never that slow
                pause.wait(0.1)
                sock.sendall(record[at : at + 2000])
            (request,) = web.wait_for_requests(1)
    assert request.body == body


def test_a_slow_reader_takes_its_answer_in_its_time(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    """It takes less in the time of `send_idle` than the gateway gives at once, and always something."""
    body = bytes(range(256)) * 4096

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with ScriptedUpstream(serve=story) as web:
        running = started(gateway, tmp_path, root, 'timeouts = { send_idle = "1s" }', web=web)
        host, _, port = running.address("https").rpartition(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect((host, int(port)))
        with trusting(root).wrap_socket(sock, server_hostname=NAME) as slow:
            slow.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            pause, got = threading.Event(), b""
            for _ in range(25):  # 2.5 s in all
                pause.wait(0.1)
                got += slow.recv(16384)
            while piece := slow.recv(65536):
                got += piece
    assert got.partition(b"\r\n\r\n")[2] == body


def test_who_speaks_in_clear_where_tls_is_wanted_now_is_let_go(gateway: GatewayFactory, tmp_path: Path, root: Issued):
    issue(NAME, issuer=root).save(tmp_path, "shop")
    file = tmp_path / "gateway.toml"
    file.write_text((DOCUMENT % "").replace('tls = "shop"\n', "").replace("[listen.https]", "[listen.web]", 1))
    running = gateway(file, upstreams={})
    with RawClient(running.address("web")) as client:
        assert client.get("/hello").status == 200
        file.write_text((DOCUMENT % "").replace("[listen.https]", "[listen.web]", 1))
        running.reload()
        client.expect_eof()
