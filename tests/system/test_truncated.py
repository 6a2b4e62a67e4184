"""An upstream's body that breaks off looks broken to the client, and is logged as such."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path

import pytest
from system.rig import Front

from pylos.testing import Close, RawClient, Wait, reply
from pylos.testing.plugin import UpstreamFactory
from pylos.testing.script import Reply

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NEVER = threading.Event()
CUT: dict[str, Reply] = {
    "between chunks": [CHUNKED + b"4\r\ntrun\r\n", Close()],
    "inside a chunk": [CHUNKED + b"8\r\ntrun", Close()],
    "length": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ntrun", Close()],
    "before the last CRLF": [CHUNKED + b"4\r\ntrun\r\n0\r\n", Close()],
    "silence": [CHUNKED + b"4\r\ntrun\r\n", Wait(NEVER)],
}
ENDED = {name: "upstream_timeout" if name == "silence" else "upstream_truncated" for name in CUT}


def _log(path: Path) -> str:
    return f'access_log = {{ path = "{path}" }}'


@pytest.mark.parametrize("name", CUT)
def test_cut_body_is_incomplete(name: str, front: Front, upstream: UpstreamFactory, tmp_path: Path):
    log = tmp_path / "access.log"
    app = upstream(CUT[name], reply(b"next"))
    gateway = front(app, pylos=_log(log), upstream='health = false\ntimeouts = { idle = "1s" }')
    host, port = gateway.address().rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()
    with RawClient(gateway.address()) as client:
        assert client.get().body == b"next"
    gateway.stop()
    lines = sorted((json.loads(line) for line in log.read_text().splitlines()), key=lambda line: line["ts"])
    assert [(line["status"], line["ended"]) for line in lines] == [(200, ENDED[name]), (200, "ok")]


@pytest.mark.parametrize("name", CUT)
def test_cut_body_has_no_last_chunk(name: str, front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(CUT[name]), upstream='health = false\ntimeouts = { idle = "1s" }')
    with RawClient(gateway.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        rest = client.read_to_end()
    assert b"trun" in rest
    assert b"0\r\n\r\n" not in rest


def test_cut_body_to_a_1_0_client_is_reset(front: Front, upstream: UpstreamFactory):
    """A close is the end of a body there, so only a reset tells."""
    gateway = front(upstream(CUT["between chunks"]))
    with RawClient(gateway.address()) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        with pytest.raises(ConnectionResetError):
            client.read_to_end()
