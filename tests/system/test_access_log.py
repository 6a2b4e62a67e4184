"""The access log: one line that parses for each request, whatever clients send, and why each ended."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from system.rig import Front, configuration, until

from pylos import Gateway
from pylos.testing import Close, RawClient, Wait, reply
from pylos.testing.plugin import UpstreamFactory

FIELDS = {
    "ts",
    "id",
    "client",
    "listener",
    "method",
    "host",
    "path",
    "query",
    "version",
    "status",
    "route",
    "upstream",
    "target",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "connect_ms",
    "first_byte_ms",
    "reason",
    "ended",
    "user_agent",
    "retries",
}
WIDE = 'limits = { line = "256KiB", header = "512KiB" }'
HOSTILE = {
    "forged line": b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x" 200 "forged\r\n\r\n',
    "encoded line end": b"GET /%0a%0dFAKE HTTP/1.1\r\nHost: a\r\n\r\n",
    "no UTF-8": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe\r\n\r\n",
    "C1 controls": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc2\x85\xe2\x80\xa8x\r\n\r\n",
    "escape sequence": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[31m\r\n\r\n",
    "100 KB": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + b"u" * 100_000 + b"\r\n\r\n",
    "backslashes": b'GET /?q=\\" HTTP/1.1\r\nHost: a\r\nUser-Agent: \\"\\\\\r\n\r\n',
    "broken behind Accept": b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nX-A: \x00\r\n\r\n",
    "odd host": b"GET / HTTP/1.1\r\nHost: a\r\nHost: \xff\r\n\r\n",
    "odd method": b"M!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
    "garbage": b"\x00\xff\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\n\r\n",
}


def _log_to(path: Path) -> str:
    return f'access_log = {{ path = "{path}" }}'


def _lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.decode().split("\n")[:-1]]


def test_line_tells_the_whole_story(front: Front, upstream: UpstreamFactory, tmp_path: Path):
    log = tmp_path / "access.log"
    app = upstream(reply(b"hello"))
    gateway = front(app, pylos=_log_to(log))
    with RawClient(gateway.address()) as client:
        response = client.request(
            "POST", "/a/b?c=d", [("User-Agent", "probe/1"), ("Host", "Shop.example:80")], body=b"12345", host=None
        )
    gateway.stop()
    (line,) = _lines(log)
    assert set(line) == FIELDS
    expected = {
        "id": response.header("x-request-id"),
        "client": "127.0.0.1",
        "listener": "http",
        "method": "POST",
        "host": "shop.example",
        "path": "/a/b",
        "query": "c=d",
        "version": "1.1",
        "status": 200,
        "route": "all",
        "upstream": "app",
        "target": app.url,
        "bytes_in": 5,
        "reason": None,
        "ended": "ok",
        "user_agent": "probe/1",
        "retries": 0,
    }
    assert {key: line[key] for key in expected} == expected
    assert line["bytes_out"] >= 5
    assert 0 <= line["connect_ms"] <= line["first_byte_ms"] <= line["duration_ms"] < 10_000
    assert line["ts"]


@pytest.mark.parametrize("name", HOSTILE)
def test_one_request_is_one_line(name: str, front: Front, upstream: UpstreamFactory, tmp_path: Path):
    log = tmp_path / "access.log"
    gateway = front(upstream(), pylos=_log_to(log), listen=WIDE)
    with RawClient(gateway.address()) as client:
        client.send(HOSTILE[name])
        status = client.read_response().status
    gateway.stop()
    (line,) = _lines(log)
    assert set(line) == FIELDS
    assert line["status"] == status
    assert (line["reason"] is None) == (status == 200)
    raw = log.read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
    assert len(raw) < 8192


def test_long_text_is_cut_and_marked(front: Front, upstream: UpstreamFactory, tmp_path: Path):
    log = tmp_path / "access.log"
    gateway = front(upstream(), pylos=_log_to(log), listen=WIDE)
    with RawClient(gateway.address()) as client:
        assert client.get("/", [("User-Agent", "u" * 100_000)]).status == 200
    gateway.stop()
    agent = _lines(log)[0]["user_agent"]
    assert agent.startswith("uuuu")
    assert agent.endswith("(cut)")


def test_every_end_has_its_code(front: Front, upstream: UpstreamFactory, tmp_path: Path):
    """Cut and timed-out answers, refusals, and clients that leave."""
    log = tmp_path / "access.log"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    never = Event()
    app = upstream([head, Close()], [head, Wait(never)], [Wait(never)], [head, Wait(never)])
    timeouts = 'health = false\ntimeouts = { idle = "300ms", first_byte = "300ms" }'
    gateway = front(app, pylos=_log_to(log), upstream=timeouts, route='match = "a.example/{rest:path}"')
    for path in ("/cut", "/stalled", "/silent"):
        with RawClient(gateway.address()) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
            client.read_head()
            client.read_to_end() if path != "/silent" else None
    with RawClient(gateway.address()) as client:
        assert client.get("/elsewhere").status == 404
        client.send(b"GET /bad HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert client.read_response().status == 400
    with RawClient(gateway.address()) as client:
        client.send(b"GET /left HTTP/1.1\r\nHost: a.example\r\n\r\n")
        client.read_head()
        client.reset()
    until(lambda: log.exists() and log.read_bytes().count(b"\n") == 6)
    told = {line["path"]: (line["status"], line["ended"], line["reason"]) for line in _lines(log)}
    assert told["/cut"] == (200, "upstream_truncated", None)
    assert told["/stalled"] == (200, "upstream_timeout", None)
    assert told["/silent"][:2] == (504, "upstream_timeout")
    assert told["/silent"][2] is not None
    assert told["/elsewhere"][0] == 404
    assert told["/elsewhere"][2] == "no_route"
    assert told["/bad"][0] == 400
    assert told["/bad"][2] == "bad_host"
    assert told["/left"][:2] == (200, "client_gone")


def test_log_goes_to_standard_output_and_appears_soon(upstream: UpstreamFactory, tmp_path: Path):
    text = configuration(upstream(), pylos="")
    out = tmp_path / "out"
    with out.open("wb") as stdout, Gateway.from_toml(text, stdout=stdout) as gateway:
        with RawClient(gateway.address()) as client:
            assert client.get("/soon").status == 200
        until(lambda: out.read_bytes().count(b"\n") == 1, seconds=3)
        assert json.loads(out.read_bytes())["path"] == "/soon"
