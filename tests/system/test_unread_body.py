"""The gateway answers by itself without reading the body: what is left of it is never the next request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from system.rig import Served

from pylos import Gateway
from pylos.testing import RawClient, ScriptedUpstream

CONFIG = """
[pylos]
version = 1
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["{url}"]
health = false
[route.moved]
match = "/moved"
redirect = {{ to = "https://b.example/", status = 301 }}
[route.fixed]
match = "/fixed"
respond = {{ text = "fixed" }}
[route.denied]
match = "/denied"
to = "app"
use = ["nobody"]
[route.small]
match = "/small"
to = "app"
use = ["small"]
[route.get_only]
match = "GET /get_only"
to = "app"
[route.admin]
match = "/admin"
to = "app"
[policy.nobody]
type = "filter"
deny_ip = ["0.0.0.0/0"]
[policy.small]
type = "filter"
max_body = "8B"
"""
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
CASES = [("/nowhere", 404), ("/moved", 301), ("/fixed", 200), ("/denied", 403), ("/small", 413), ("/get_only", 405)]
BY_LENGTH = b"Content-Length: %d\r\n\r\n%s" % (len(SMUGGLED), SMUGGLED)
BY_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with ScriptedUpstream() as app, Gateway.from_toml(CONFIG.format(url=app.url)) as gateway:
        yield Served(gateway, app)


@pytest.mark.parametrize("path, status", CASES)
@pytest.mark.parametrize("body", [BY_LENGTH, BY_CHUNKS], ids=["length", "chunked"])
@pytest.mark.parametrize("moment", ["at once", "late"])
def test_exactly_one_answer(path: str, status: int, body: bytes, moment: str, served: Served):
    gateway, app = served
    assert len(SMUGGLED) == 32
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n".encode()
    with RawClient(gateway.address()) as client:
        if moment == "late":
            fields, _, rest = body.partition(b"\r\n\r\n")
            client.send(head + fields + b"\r\n\r\n")
            if not (path == "/small" and body is BY_CHUNKS):  # its size is not known before
                assert client.read_response().status == status
            client.send(rest)
            if path == "/small" and body is BY_CHUNKS:
                assert client.read_response().status == status
        else:
            client.send(head + body)
            assert client.read_response().status == status
        client.half_close()
        client.expect_eof()
    assert [request.target for request in app.requests if request.complete] == []


@pytest.mark.parametrize("path, status", CASES)
def test_connection_that_goes_on_goes_on_behind_the_body(path: str, status: int, served: Served):
    """Either it closes, or the request behind the body gets its own answer."""
    gateway, app = served
    with RawClient(gateway.address()) as client:
        client.send(
            f"POST {path} HTTP/1.1\r\nHost: a\r\n".encode() + BY_LENGTH + b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert client.read_response().status == status
        client.half_close()
        rest = client.read_to_end()
    assert rest.count(b"HTTP/1.1 ") <= 1
    assert rest == b"" or rest.endswith(b"fixed")
    assert b"/admin" not in app.received
