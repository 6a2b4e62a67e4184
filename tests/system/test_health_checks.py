"""What a check sends and accepts: every option of `health`, where it acts and where it must not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
from system.balanced import NOWHERE
from system.rig import Front, until

from pylos.testing import GatewayUnderTest, Request, ScriptedUpstream, UpstreamConnection, reply

OFTEN = 'every = "40ms", timeout = "1s", fall = 1, rise = 1'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

CASES: dict[str, tuple[str, bytes, str]] = {
    # name: lines of `health`, what the server says, and what it is then
    "success": ('path = "/check"', reply(status=204), "up"),
    "failure": ('path = "/check"', reply(status=500), "down"),
    "redirect": ('path = "/check"', reply(status=302, headers={"location": "/well"}), "down"),
    "redirect listed": ('path = "/check", statuses = ["200-299", 302]', reply(status=302), "up"),
    "not in the list": ('path = "/check", statuses = [404]', reply(), "down"),
    "at the ends of a range": ('path = "/check", statuses = ["100-299", "404-410"]', reply(status=410), "up"),
    "body": ('path = "/check", body = "fine"', reply("all is fine here"), "up"),
    "other body": ('path = "/check", body = "fine"', reply("nothing is"), "down"),
    "a text is no expression": ('path = "/check", body = "f.ne"', reply("all is fine here"), "down"),
    "expression": ('path = "/check", body = "re:^f.ne$"', reply("fine"), "up"),
    "other expression": ('path = "/check", body = "re:^f.ne$"', reply("all is fine"), "down"),
    "body in chunks": ('path = "/check", body = "fine"', CHUNKED + b"2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", "up"),
    "body in other chunks": ('path = "/check", body = "fine"', CHUNKED + b"2\r\nfi\r\n0\r\n\r\n", "down"),
    "body to the end": ('path = "/check", body = "fine"', UNTIL_CLOSE + b"all is fine", "up"),
    "body at 64 KiB": ('path = "/check", body = "fine"', reply(b"x" * 65_000 + b"fine"), "up"),
    "body beyond 64 KiB": ('path = "/check", body = "fine"', UNTIL_CLOSE + b"x" * 66_000 + b"fine", "down"),
    "no body": ('path = "/check", body = "fine"', reply(status=204), "down"),
    "status counts beside the body": ('path = "/check", body = "fine"', reply("fine", status=503), "down"),
    "interim answer": ('path = "/check"', b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(), "up"),
    "not HTTP": ('path = "/check"', b"220 mail.example ESMTP\r\n", "down"),
    "expected": ('send = "PING\\r\\n", expect = "+PONG"', b"+PONG\r\n", "up"),
    "not expected": ('send = "PING\\r\\n", expect = "+PONG"', b"-ERR\r\n", "down"),
    "too little": ('send = "PING\\r\\n", expect = "+PONG"', b"+PO", "down"),
    "expected of one that begins": ('expect = "220 "', b"220 mail.example ESMTP\r\n", "up"),
    "connection": ("", b"", "up"),
}


class Checked(ScriptedUpstream):
    """Says one thing to everybody, and closes."""

    def __init__(self, lines: str, says: bytes) -> None:
        super().__init__(serve=self._answer)
        self.lines = lines
        self.says = says
        self.checks = 0

    def _answer(self, connection: UpstreamConnection) -> None:
        self.checks += 1
        if 'path = "' in self.lines:
            connection.read_request()
        elif "send" in self.lines and connection.read_exactly(6) != b"PING\r\n":
            return
        connection.send(self.says)


@pytest.fixture(scope="module")
def checked() -> Iterator[tuple[GatewayUnderTest, dict[str, Checked]]]:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Checked(lines, says)) for name, (lines, says, _) in CASES.items()}
        parts = ['[pylos]\naccess_log = false\n[listen.http]\nbind = "127.0.0.1:0"\n']
        for number, server in enumerate(servers.values()):
            parts.append(
                f'[upstream.u{number}]\ntargets = ["{server.url}"]\nhealth = {{ {server.lines}, {OFTEN} }}\n'.replace(
                    "{ , ", "{ "
                )
                + f'[route.u{number}]\nmatch = "/u{number}"\nto = "u{number}"\n'
            )
        yield stack.enter_context(GatewayUnderTest.from_toml("\n".join(parts))), servers


@pytest.mark.parametrize("name", CASES)
def test_what_is_healthy(name: str, checked: tuple[GatewayUnderTest, dict[str, Checked]]):
    gateway, servers = checked
    upstream, (*_, state) = f"u{list(CASES).index(name)}", CASES[name]
    until(lambda: servers[name].checks >= 3)
    until(lambda: gateway.status()["upstreams"][upstream][0]["state"] == state, seconds=3)


def checks_of(front: Front, health: str, more: str = "", host: str = "127.0.0.1", count: int = 1) -> list[Request]:
    """Give what a server is asked with."""
    with ScriptedUpstream(host=host) as server:
        front(server, upstream=f"health = {{ {health}, {OFTEN} }}\n{more}")
        server.wait_for_requests(count)
        return list(server.requests)


@pytest.mark.parametrize(
    "health, more, asked",
    [
        ('path = "/check?deep=1"', "", None),
        ('path = "/check?deep=1"', 'host = "preserve"', None),
        ('path = "/check?deep=1"', 'host = "shop.internal"', "shop.internal"),
        ('path = "/check?deep=1", host = "probe.internal"', 'host = "shop.internal"', "probe.internal"),
    ],
)
def test_host(health: str, more: str, asked: str | None, front: Front):
    """As for requests, or as it says."""
    request, *_ = checks_of(front, health, more)
    assert (request.method, request.target) == ("GET", "/check?deep=1")
    host = request.header("host")
    assert host == asked if asked else (host or "").startswith("127.0.0.1:")
    assert request.header("user-agent") == "pylos-health"


def test_an_ipv6_host_has_its_brackets(front: Front):
    request, *_ = checks_of(front, 'path = "/check"', host="::1")
    assert (request.header("host") or "").startswith("[::1]:")


def test_further_fields(front: Front):
    request, *_ = checks_of(front, 'path = "/check", headers = { x-probe = "pylos", user-agent = "mine" }')
    agents = [value for name, value in request.headers if name.lower() == "user-agent"]
    assert (request.header("x-probe"), agents) == ("pylos", ["mine"])


def test_where_nobody_listens(front: Front):
    gateway = front(NOWHERE, upstream=f"health = {{ {OFTEN} }}")
    until(lambda: gateway.status()["upstreams"]["app"][0]["state"] == "down")


def test_one_bad_answer_among_good_ones_is_overlooked(front: Front):
    """In a row is what counts."""
    answers = [reply(), reply(status=500), reply(status=500)] * 6
    with ScriptedUpstream(*answers, reply()) as server:
        gateway = front(server, upstream='health = { path = "/check", every = "30ms", fall = 3, rise = 1 }')
        states = {gateway.status()["upstreams"]["app"][0]["state"]}
        while len(server.requests) < len(answers):
            states.add(gateway.status()["upstreams"]["app"][0]["state"])
        assert states == {"up"}


class Timed(ScriptedUpstream):
    """Notes when it is asked, and fails from the first check on."""

    def __init__(self) -> None:
        super().__init__(serve=self._answer)
        self.times: list[float] = []

    def _answer(self, connection: UpstreamConnection) -> None:
        connection.read_request()
        self.times.append(time.monotonic())
        connection.send(reply(status=500))


@pytest.mark.parametrize("fast, within", [("50ms", 0.5), ("2s", 2.5)])
def test_faster_while_the_verdict_changes(fast: str, within: float, front: Front):
    """Within half a second the second check comes, or it does not."""
    soon = within < 1.0
    with Timed() as server:
        health = f'health = {{ path = "/check", every = "2s", fast = "{fast}", timeout = "1s", fall = 3, rise = 1 }}'
        gateway = front(server, upstream=health)
        until(lambda: len(server.times) >= 2)
        assert (server.times[1] - server.times[0] < 0.5) == soon
        if soon:
            until(lambda: gateway.status()["upstreams"]["app"][0]["state"] == "down", seconds=1)
            before = len(server.times)
            time.sleep(0.3)
            assert len(server.times) == before, "once it is down, there is no haste"


class Slow(ScriptedUpstream):
    """Takes longer than the time from one check to the next."""

    def __init__(self) -> None:
        super().__init__(serve=self._answer)
        self.under_way = self.most = self.checks = 0
        self.lock = threading.Lock()

    def _answer(self, connection: UpstreamConnection) -> None:
        connection.read_request()
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(0.1)
        with self.lock:
            self.under_way -= 1
            self.checks += 1
        connection.send(reply())


def test_checks_do_not_overlap(front: Front):
    with Slow() as server:
        front(server, upstream='health = { path = "/check", every = "20ms", timeout = "5s" }')
        until(lambda: server.checks >= 8)
        assert server.most == 1


def test_no_answer_in_time(front: Front):
    def silent(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.wait_for_eof()

    with ScriptedUpstream(serve=silent) as server:
        lines = 'health = { path = "/check", every = "20ms", timeout = "100ms", fall = 2, rise = 1 }'
        gateway = front(server, upstream=lines)
        until(lambda: gateway.status()["upstreams"]["app"][0]["state"] == "down", seconds=3)


def test_jitter_only_shortens(front: Front):
    class Noting(ScriptedUpstream):
        def __init__(self) -> None:
            super().__init__(serve=self._answer)
            self.times: list[float] = []

        def _answer(self, connection: UpstreamConnection) -> None:
            self.times.append(time.monotonic())
            connection.read_request()
            connection.send(reply())

    with Noting() as server:
        front(server, upstream='health = { path = "/check", every = "200ms" }')
        until(lambda: len(server.times) >= 17)
        gaps = [after - before for before, after in pairwise(server.times[:17])]
    assert 0.178 <= sum(gaps) / len(gaps) <= 0.2005, gaps
    assert max(gaps) - min(gaps) > 0.002, "not all in step"
