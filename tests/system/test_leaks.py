"""The origin stays hidden: neither its address nor its name is in anything that the gateway makes or maps.

The upstream listens at 127.0.0.77 and has a second target whose name nothing resolves; it tells both about itself
wherever HTTP has a place for it. Only bodies pass as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pylos import Gateway
from pylos.testing import Close, RawClient, Request, Reset, ScriptedUpstream, UpstreamConnection, Wait, reply
from pylos.testing.script import Reply, perform

ADDRESS = "127.0.0.77"
NAME = "origin-seventy-seven.invalid"
PUBLIC = "gateway.test"
NOBODY = (502, 503)
"""The upstream failed, or after it no other target was left."""
NEVER = threading.Event()
CONFIG = """
[pylos]
version = 1
access_log = false
[listen.http]
bind = "127.0.0.1:0"
limits = {{ body = "1KiB" }}
[upstream.app]
targets = ["http://{address}:{port}", "http://{name}:{port}"]
health = false
host = "target"
timeouts = {{ first_byte = "500ms", idle = "500ms", connect = "1s" }}
[upstream.dead]
targets = ["http://{address}:1", "http://{name}:1"]
health = false
[route.all]
match = "{public}/{{rest:path}}"
to = "app"
[route.below]
match = "{public}/app/{{rest:path}}"
strip = "/app"
to = "app"
[route.dead]
match = "{public}/dead"
to = "dead"
[route.denied]
match = "{public}/denied"
to = "app"
use = ["nobody"]
[route.get_only]
match = "GET only.test/get-only"
to = "app"
[policy.nobody]
type = "filter"
deny_ip = ["0.0.0.0/0"]
"""


@dataclass(frozen=True)
class Scenario:
    """A request, what the upstream answers, and what the client's answer is to have.

    `{at}` stands for the address with its port, `{named}` for the name with it, `{name}` for the name alone.
    """

    reply: Reply = b""
    status: int | tuple[int, ...] = 200
    fields: tuple[tuple[str, str | None], ...] = ()
    method: str = "GET"
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    cut: bool = False


def _answer(*fields: str, status: str = "200 OK", body: str = "ok") -> bytes:
    lines = "".join(f"{field}\r\n" for field in (f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"))
    return (lines + "\r\n" + body).encode()


def _told(*fields: str, status: str = "200 OK", **expected: str | None) -> Scenario:
    wanted = tuple((name.replace("_", "-"), value) for name, value in expected.items())
    return Scenario(_answer(*fields, status=status), int(status[:3]), wanted)


MAPPED = f"http://{PUBLIC}/login?x=1"
MOVED = "302 Found"
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"


def _trailing(*fields: str) -> Scenario:
    """An answer with these trailers, to a client that takes them."""
    takes = (("Connection", "TE"), ("TE", "trailers"))
    return Scenario((CHUNKED + "".join(f"{field}\r\n" for field in fields) + "\r\n").encode(), headers=takes)


SCENARIOS: dict[str, Scenario] = {
    "location-address": _told("Location: http://{at}/login?x=1", status=MOVED, location=MAPPED),
    "location-name": _told("Location: http://{named}/login?x=1", status=MOVED, location=MAPPED),
    "location-name-upper-case": _told("Location: HTTP://{upper}/login?x=1", status=MOVED, location=MAPPED),
    "location-no-scheme": _told("Location: //{named}/login", status=MOVED),
    "location-https": _told("Location: https://{name}/login", status=MOVED),
    "location-other-port": _told("Location: http://{name}:9/login", status=MOVED),
    "location-in-query": _told("Location: /login?next=http://{at}/", status=MOVED),
    "location-created": _told(
        "Location: http://{at}/items/1", status="201 Created", location=f"http://{PUBLIC}/items/1"
    ),
    "content-location": _told("Content-Location: http://{at}/page", content_location=f"http://{PUBLIC}/page"),
    "refresh": _told("Refresh: 5; url=http://{named}/login", refresh=f"5; url=http://{PUBLIC}/login"),
    "link": _told("Link: <http://{at}/2>; rel=next, <http://{named}/0>; rel=prev"),
    "cookie-domain": _told("Set-Cookie: s=1; Domain={name}; Path=/; Secure"),
    "cookie-domain-address": _told("Set-Cookie: s=1; Domain=" + ADDRESS),
    "alt-svc": _told('Alt-Svc: h2="{named}"; ma=60', alt_svc=None),
    "server-fields": _told("Server: {name}", "X-Powered-By: {at}", "Via: 1.1 {name}", via=None, x_powered_by=None),
    "reason-phrase": Scenario(_answer(status="503 {name} is down"), 503),
    "early-hints": Scenario(
        b"HTTP/1.1 103 Hints\r\nLink: <http://{named}/a.css>; rel=preload\r\nVia: {name}\r\n\r\n" + _answer()
    ),
    "trailer-link": _trailing("Link: <http://{at}/2>; rel=next", "Via: 1.1 {name}"),
    "trailer-location": _trailing("Location: http://{at}/2", "Server: {name}"),
    "redirect-below-prefix": Scenario(
        _answer("Location: http://{at}/login", status=MOVED),
        302,
        (("location", f"http://{PUBLIC}/app/login"),),
        path="/app/redirect-below-prefix",
    ),
    "head": Scenario(
        b"HTTP/1.1 302 Found\r\nLocation: http://{at}/login?x=1\r\nContent-Length: 9\r\n\r\n",
        302,
        (("location", MAPPED),),
        method="HEAD",
    ),
    "refused-connection": Scenario(status=NOBODY, path="/dead"),
    "closed-without-answer": Scenario([Close()], NOBODY),
    "reset": Scenario([Reset()], NOBODY),
    "garbage": Scenario([b"{name} speaks something else\r\n\r\n", Close()], 502),
    "bad-field": Scenario(_answer("{name}"), 502),
    "bad-length": Scenario(b"HTTP/1.1 200 {name}\r\nContent-Length: {at}\r\n\r\n", 502),
    "unasked-switch": Scenario(b"HTTP/1.1 101 {name}\r\nUpgrade: websocket\r\nLocation: http://{at}/\r\n\r\n", 502),
    "half-a-head": Scenario([b"HTTP/1.1 200 OK\r\nServer: {name}", Close()], 502),
    "silence": Scenario([Wait(NEVER)], 504),
    "html-refusal": Scenario([Close()], NOBODY, headers=(("Accept", "text/html"),)),
    "text-refusal": Scenario([Close()], NOBODY, headers=(("Accept", "text/plain"),)),
    "truncated-length": Scenario(
        [b"HTTP/1.1 200 OK\r\nServer: {name}\r\nContent-Length: 100\r\n\r\nhalf", Close()], cut=True
    ),
    "truncated-chunks": Scenario([CHUNKED[:-3].encode() + b"5\r\nhal", Close()], cut=True),
    "no-route": Scenario(status=404, headers=(("Host", "elsewhere.test"),)),
    "method-not-allowed": Scenario(status=405, method="POST", path="/get-only", headers=(("Host", "only.test"),)),
    "denied": Scenario(status=403, path="/denied"),
    "too-large": Scenario(status=413, method="POST", body=bytes(2000)),
    "bad-request": Scenario(status=400, headers=(("Bad Name", "1"),)),
}


class Origin(ScriptedUpstream):
    """Answers each path by the scenario of that name."""

    def __init__(self) -> None:
        super().__init__(self._tell, host=ADDRESS)

    def spell(self, text: bytes) -> bytes:
        """Put the address and the name into an answer."""
        named = f"{NAME}:{self.port}"
        words = {"{at}": f"{ADDRESS}:{self.port}", "{named}": named, "{upper}": named.upper(), "{name}": NAME}
        for word, meaning in words.items():
            text = text.replace(word.encode(), meaning.encode())
        return text

    def _tell(self, connection: UpstreamConnection, request: Request) -> None:
        name = request.target.rpartition("/")[2]
        if name == "body":
            connection.send(reply(self.spell(BODY)))
            return
        steps = SCENARIOS[name].reply
        if isinstance(steps, bytes):
            steps = [steps]
        assert isinstance(steps, list)
        perform([self.spell(step) if isinstance(step, bytes) else step for step in steps], connection, request)


BODY = b'<a href="http://{at}/">http://{named}/</a> {name}'


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def served(origin: Origin) -> Iterator[Gateway]:
    text = CONFIG.format(address=ADDRESS, name=NAME, port=origin.port, public=PUBLIC)
    with Gateway.from_toml(text) as gateway:
        yield gateway


@pytest.mark.parametrize("name", SCENARIOS)
def test_origin_is_not_told(name: str, served: Gateway, origin: Origin):
    scenario = SCENARIOS[name]
    with RawClient(served.address()) as client:
        client.send(_spell(scenario, name))
        head = client.read_response(scenario.method) if not scenario.cut else client.read_head()
        if scenario.cut:
            client.read_to_end()
        else:
            client.close()
        received = client.received.lower()
    assert head.status in (scenario.status if isinstance(scenario.status, tuple) else (scenario.status,))
    for hidden in (ADDRESS, NAME, f":{origin.port}"):
        assert hidden.encode() not in received, received
    for field, value in scenario.fields:
        assert head.header(field) == value


def _spell(scenario: Scenario, name: str) -> bytes:
    fields = {"Host": PUBLIC, **dict(scenario.headers)}
    if scenario.body is not None:
        fields["Content-Length"] = str(len(scenario.body))
    lines = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    target = scenario.path or f"/{name}"
    return f"{scenario.method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + (scenario.body or b"")


def test_body_passes_unchanged(served: Gateway, origin: Origin):
    with RawClient(served.address()) as client:
        assert client.request("GET", "/body", host=PUBLIC).body == origin.spell(BODY)


def test_there_are_enough_scenarios():
    assert len(SCENARIOS) >= 25
