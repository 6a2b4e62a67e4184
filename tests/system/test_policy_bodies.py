"""Policies in Python that read the body: they see all of it, and it goes on as it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylos import Gateway
from pylos.testing import EchoUpstream, RawClient

BODY = """
from pylos import Answer, Deny, Request, policy

@policy(body="16KiB")
def reads(request: Request) -> Deny | None:
    body = request.body or b""
    return None if b"good" in body or not body else Deny(422, "bad_body", f"{len(body)} bytes")
"""


@pytest.fixture
def reader(tmp_path: Path, echo: EchoUpstream) -> Iterator[Gateway]:
    (tmp_path / "reader.py").write_text(BODY)
    file = tmp_path / "reader.toml"
    file.write_text(
        f"""
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
timeouts = {{ body_idle = "300ms" }}
[upstream.app]
targets = ["{echo.url}"]
health = false
[policy.reads]
type = "python"
call = "reader:reads"
[route.all]
match = "/{{rest:path}}"
to = "app"
use = ["reads"]
"""
    )
    with Gateway(file) as gateway:
        yield gateway


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return (
        b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\nx-trailer: kept\r\n\r\n"
    )


@pytest.mark.parametrize("length", [0, 4, 5000, 16384])
@pytest.mark.parametrize("pieces", [1, 7, 5000])
def test_it_reads_the_body_and_the_upstream_gets_the_same(
    reader: Gateway, echo: EchoUpstream, length: int, pieces: int
) -> None:
    body = (b"good" * (length // 4))[:length]
    with RawClient(reader.address()) as client:
        assert client.request("POST", "/a", [], body).status == 200
        client.send(
            b"POST /b HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, pieces)
        )
        assert client.read_response().status == 200
        assert client.get("/c").status == 200, "the connection is in step"
    assert [request.body for request in echo.requests] == [body, body, b""]


def test_it_refuses_by_what_the_body_says(reader: Gateway, echo: EchoUpstream) -> None:
    with RawClient(reader.address()) as client:
        answer = client.request("POST", "/a", [], b"evil" * 1000)
        assert (answer.status, answer.header("pylos-reason")) == (422, "bad_body")
        assert answer.json()["detail"] == "4000 bytes"
        assert client.request("POST", "/a", [], b"good").status == 200
    assert len(echo.requests) == 1


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_body_that_is_larger_than_it_reads_is_refused(reader: Gateway, framing: str) -> None:
    body = b"x" * 20_000
    head = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: 20000"
    with RawClient(reader.address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\n" + head + b"\r\n\r\n")
        client.send(chunked(body, 1000) if framing == "chunked" else body)
        answer = client.read_response()
    assert (answer.status, answer.header("pylos-reason")) == (413, "body_too_large")


def test_a_client_that_waits_to_be_told_is_told(reader: Gateway, echo: EchoUpstream) -> None:
    with RawClient(reader.address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_head().status == 100
        client.send(b"good")
        assert client.read_response().status == 200
    assert "expect" not in {name.lower() for name, _ in echo.requests[0].headers}


def test_a_body_that_does_not_come_is_not_waited_for(reader: Gateway) -> None:
    with RawClient(reader.address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\ngood")
        answer = client.read_response()
    assert (answer.status, answer.header("pylos-reason")) == (408, "body_timeout")


def test_a_body_that_is_no_chunks_is_refused(reader: Gateway) -> None:
    with RawClient(reader.address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        answer = client.read_response()
    assert (answer.status, answer.header("pylos-reason")) == (400, "bad_chunk")
