"""Targets with https://: who is believed, what is shown, and what is told when it goes wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Issued, authority, issue, showing
from cryptography.x509.oid import ExtendedKeyUsageOID
from system.serving import Serve

from pylos.testing import EchoUpstream, RawClient, ScriptedUpstream, UpstreamConnection, reply
from pylos.testing.plugin import ClientFactory, GatewayFactory

NAME = "billing.internal"
FRONT = """\
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[route.all]
match = "/{rest:path}"
to = "web"
"""


Web = Callable[[ssl.SSLContext], EchoUpstream]


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority()


@pytest.fixture
def web() -> Iterator[Web]:
    with ExitStack() as running:
        yield lambda context: running.enter_context(EchoUpstream(tls=context))


def document(folder: Path, upstream: ScriptedUpstream, tls: str = "") -> Path:
    """One upstream with this line of `tls`."""
    file = folder / "gateway.toml"
    line = f"tls = {{ {tls} }}\n" if tls else ""
    file.write_text(f'{FRONT}[upstream.web]\ntargets = ["{upstream.url}"]\n{line}')
    return file


def logged(file: Path, log: Path) -> Path:
    """The same with an access log."""
    file.write_text(file.read_text().replace("access_log = false", f'access_log = {{ path = "{log}" }}'))
    return file


def believed(folder: Path, root: Issued, more: str = "") -> str:
    """The keys that believe this authority, for targets with the usual name."""
    (folder / "root.pem").write_text(root.pem)
    return f'ca = "root.pem", server_name = "{NAME}"{more}'


def test_a_target_is_asked_by_tls_and_kept(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue(NAME, issuer=root), tmp_path))
    ours = client(gateway(document(tmp_path, upstream, believed(tmp_path, root))))

    assert [ours.get(f"/{number}").json()["target"] for number in range(3)] == ["/0", "/1", "/2"]
    (connection,) = upstream.connections
    assert connection.tls
    assert connection.tls.version() == "TLSv1.3"


def test_large_bodies_are_whole_both_ways(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue(NAME, issuer=root), tmp_path))
    ours = client(gateway(document(tmp_path, upstream, believed(tmp_path, root))))
    body = bytes(range(256)) * 8192

    seen = ours.post("/", body=body).json()

    assert (seen["body_length"], seen["body"].encode("latin-1") == body) == (len(body), True)


def test_an_address_is_what_its_certificate_says(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue("127.0.0.1", issuer=root), tmp_path))
    (tmp_path / "root.pem").write_text(root.pem)

    assert client(gateway(document(tmp_path, upstream, 'ca = "root.pem"'))).get().status == 200


def test_a_session_is_resumed(gateway: GatewayFactory, client: ClientFactory, root: Issued, tmp_path: Path):
    resumed = []

    def story(connection: UpstreamConnection) -> None:
        assert connection.tls
        resumed.append(connection.tls.session_reused)
        connection.read_request()
        connection.send(reply())

    with ScriptedUpstream(serve=story, tls=showing(issue(NAME, issuer=root), tmp_path)) as upstream:
        file = document(tmp_path, upstream, believed(tmp_path, root))
        file.write_text(file.read_text() + "pool = { max_idle = 0 }\n")
        ours = client(gateway(file))
        assert [ours.get().status for _ in range(3)] == [200] * 3

    assert resumed == [False, True, True]


@contextmanager
def patient_server(context: ssl.SSLContext) -> Iterator[int]:
    """Leave connections open whose handshake has failed, so that what was said about that arrives. Gives the port."""

    def serve() -> None:
        with ExitStack() as kept:
            while True:
                try:
                    sock = kept.enter_context(listener.accept()[0])
                except OSError:  # it is over
                    return
                sock.settimeout(5)
                secure = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                kept.enter_context(secure)
                with suppress(OSError):
                    secure.do_handshake()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_target_that_wants_a_certificate_is_heard(gateway: GatewayFactory, root: Issued, tmp_path: Path):
    """In TLS 1.3 it says so when all is agreed on, and the request under way."""
    log = tmp_path / "access.log"
    with patient_server(showing(issue(NAME, issuer=root), tmp_path, root)) as port:
        file = tmp_path / "gateway.toml"
        line = f"tls = {{ {believed(tmp_path, root)} }}\n"
        file.write_text(f'{FRONT}[upstream.web]\ntargets = ["https://127.0.0.1:{port}"]\n{line}')
        with RawClient(gateway(logged(file, log)).address()) as client:
            answer = client.get("/")

    assert (answer.status, answer.header("pylos-reason")) == (502, "upstream_tls_failed")


def test_the_gateway_shows_a_certificate(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue(NAME, issuer=root), tmp_path, root))
    issue(issuer=root, called="gateway", uses=[ExtendedKeyUsageOID.CLIENT_AUTH]).save(tmp_path, "gateway")
    shown = believed(tmp_path, root, ', cert = "gateway.pem", key = "gateway.key"')

    assert client(gateway(document(tmp_path, upstream, shown))).get().status == 200
    (connection,) = upstream.connections
    assert connection.tls
    told = connection.tls.getpeercert()
    assert told
    assert told["subject"] == ((("commonName", "gateway"),),)
    without = client(gateway(document(tmp_path, upstream, believed(tmp_path, root)))).get()
    # With TLS 1.3 a server refuses when the client has gone on already: a reset may overtake what it says.
    assert (without.status, without.header("pylos-reason")) in {(502, "upstream_tls_failed"), (502, "upstream_closed")}


WRONG = [
    ("another name", {"names": ["other.internal"]}, "its certificate is for another name"),
    ("expired", {"days": -1, "since": 30}, "its certificate has expired"),
    ("not valid yet", {"since": -1}, "its certificate is not valid yet"),
]


@pytest.mark.parametrize("case", WRONG, ids=[name for name, *_ in WRONG])
def test_who_cannot_be_believed_is_refused_with_the_reason(
    serve: Serve, web: Web, root: Issued, tmp_path: Path, case: tuple[str, dict[str, Any], str]
):
    _, how, why = case
    times = {key: value for key, value in how.items() if key != "names"}
    upstream = web(showing(issue(*how.get("names", [NAME]), issuer=root, **times), tmp_path))
    log = tmp_path / "access.log"
    served = serve(logged(document(tmp_path, upstream, believed(tmp_path, root)), log))

    with RawClient(served.address) as client:
        answers = [client.get("/") for _ in range(5)]

    assert [(one.status, one.header("pylos-reason")) for one in answers] == [(502, "upstream_tls_failed")] * 5
    assert why in served.hears("target_failing")["why"]
    assert upstream.requests == []
    served.events()
    assert [why in json.loads(line)["why"] for line in log.read_text().splitlines()] == [True] * 5


def test_nobody_is_believed_whom_the_system_does_not_trust(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue("127.0.0.1", issuer=root), tmp_path))

    assert client(gateway(document(tmp_path, upstream))).get().header("pylos-reason") == "upstream_tls_failed"


def test_verification_can_be_switched_off(gateway: GatewayFactory, client: ClientFactory, web: Web, tmp_path: Path):
    upstream = web(showing(issue("whoever"), tmp_path))

    assert client(gateway(document(tmp_path, upstream, "insecure_skip_verify = true"))).get().status == 200


def test_who_speaks_no_tls_is_told_apart(serve: Serve, tmp_path: Path):

    def says_http(connection: UpstreamConnection) -> None:
        connection.read_some()
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with ScriptedUpstream(serve=says_http) as upstream:
        file = document(tmp_path, upstream, "")
        file.write_text(file.read_text().replace("http://", "https://"))
        served = serve(file)
        with RawClient(served.address) as client:
            reasons = [client.get("/").header("pylos-reason") for _ in range(5)]

        assert reasons == ["upstream_tls_failed"] * 5
        assert "it does not speak TLS" in served.hears("target_failing")["why"]


def test_health_checks_go_by_the_same_rules(serve: Serve, web: Web, root: Issued, tmp_path: Path):
    upstream = web(showing(issue(NAME, issuer=root), tmp_path))
    file = document(tmp_path, upstream, believed(tmp_path, root))
    file.write_text(file.read_text() + 'health = { path = "/ping", every = "50ms", fall = 1, rise = 1 }\n')
    served = serve(file)
    upstream.wait_for_requests(2)
    (tmp_path / "root.pem").write_text(authority("Another").pem)

    served.hears("certificates_renewed")
    assert "nobody who is trusted" in json.dumps(served.hears("target_down"))


def test_a_new_authority_is_believed_without_a_restart(
    gateway: GatewayFactory, client: ClientFactory, web: Web, root: Issued, tmp_path: Path
):
    upstream = web(showing(issue(NAME, issuer=root), tmp_path))
    running = gateway(document(tmp_path, upstream, believed(tmp_path, authority("Another"))))
    ours = client(running)
    assert ours.get().status == 502

    believed(tmp_path, root)
    running.reload()

    assert ours.get().status == 200
