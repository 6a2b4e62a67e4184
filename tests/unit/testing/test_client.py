"""The raw client, against an upstream that says exactly what a test wants."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylos.testing import (
    Close,
    EchoUpstream,
    HalfClose,
    IncompleteError,
    ProtocolError,
    RawClient,
    Reset,
    Response,
    ScriptedUpstream,
    reply,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANY = "0.0.0.0"  # noqa: S104 - how an upstream is told to take all addresses


def ask(*steps: object, method: str = "GET") -> Response:
    """Send one request and read what the steps answer."""
    with ScriptedUpstream([*steps]) as upstream, RawClient(upstream.address) as client:
        return client.request(method)


@pytest.mark.parametrize(
    "sent,status,body",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", id="length"),
        pytest.param(CHUNKED + b"2;x=1\r\nok\r\n0\r\n\r\n", 200, b"ok", id="chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nok", 200, b"ok", id="until the end"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="204"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 304, b"", id="304 keeps a length"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", id="no reason"),
    ],
)
def test_where_a_body_ends(sent: bytes, status: int, body: bytes) -> None:
    response = ask(sent, Close())
    assert (response.status, response.body, response.complete) == (status, body, True)


def test_what_a_failed_test_shows() -> None:
    refusal = ask(reply(b"x" * 100, 502, {"pylos-reason": "upstream_connect"}))
    assert repr(refusal) == f"<502 Scripted, pylos-reason: upstream_connect, {b'x' * 60!r}... (100 bytes)>"
    assert repr(ask(reply(b""))) == "<200 Scripted>"
    with ScriptedUpstream() as upstream, RawClient(upstream.address) as client:
        client.request("POST", "/a?b", body=b"body")
        assert repr(upstream.requests[0]) == "<POST /a?b, b'body'>"


def test_head_has_no_body() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD").body == b""


def test_fields_keep_order_spelling_and_bytes() -> None:
    response = ask(reply(headers=[("X-One", "1"), ("x-two", "\xff"), ("X-ONE", "3")]))
    assert response.headers[:3] == [("X-One", "1"), ("x-two", "\xff"), ("X-ONE", "3")]
    assert response.header_all("x-one") == ["1", "3"]
    assert response.header("X-Two") == "\xff"
    assert response.header("absent") is None
    with pytest.raises(ProtocolError, match="expected one x-one"):
        response.header("x-one")


def test_interim_responses_and_trailers() -> None:
    response = ask(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        CHUNKED + b"0\r\nX-Sum: 1\r\n\r\n",
    )
    assert [interim.status for interim in response.interim] == [100, 103]
    assert response.trailers == [("X-Sum", "1")]


def test_a_tunnel_after_101() -> None:
    with (
        ScriptedUpstream([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello"]) as upstream,
        RawClient(upstream.address) as client,
    ):
        assert client.get().status == 101
        assert client.read_exactly(5) == b"hello"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", id="lone LF in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", id="blank before the colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", id="no colon"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", id="signed length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", id="two framings"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="coding"),
        pytest.param(CHUNKED + b"0x2\r\n", id="chunk size"),
        pytest.param(CHUNKED + b"2\nok\r\n", id="lone LF behind a size"),
        pytest.param(CHUNKED + b"2\r\nokay\r\n", id="chunk too long"),
    ],
)
def test_nothing_is_forgiven(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        ask(sent, Close())


@pytest.mark.parametrize(
    "sent,partial",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-", id="head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"hel", id="length"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n5\r\nll", b"hell", id="chunk"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n", b"he", id="last chunk"),
    ],
)
def test_a_truncated_answer_is_no_answer(sent: bytes, partial: bytes) -> None:
    with pytest.raises(IncompleteError) as caught:
        ask(sent, Close())
    assert caught.value.partial == partial


def test_no_answer_at_all() -> None:
    with pytest.raises(EOFError):
        ask(Close())
    with pytest.raises(ConnectionResetError):
        ask(Reset())


def test_a_read_ends_at_its_timeout() -> None:
    with ScriptedUpstream(b"HTTP/1.1 200 OK\r\n") as upstream, RawClient(upstream.address, timeout=0.1) as client:
        with pytest.raises(TimeoutError):
            client.get()
        assert client.received == b"HTTP/1.1 200 OK\r\n"


def test_expect_eof_and_expect_open() -> None:
    with ScriptedUpstream([reply(), HalfClose()], Close()) as upstream:
        with RawClient(upstream.address) as client:
            client.get()
            client.expect_eof()
        with RawClient(upstream.address) as client:
            client.expect_open(0.05)
    with ScriptedUpstream([reply(), b"more"]) as upstream, RawClient(upstream.address) as client:
        client.get()
        with pytest.raises(ProtocolError, match="got b'more'"):
            client.expect_open(5)


def test_expect_eof_minds_bytes_before_the_end() -> None:
    with ScriptedUpstream([reply(), b"more", Close()]) as upstream, RawClient(upstream.address) as client:
        client.get()
        with pytest.raises(ProtocolError, match="got b'more'"):
            client.expect_eof()


@pytest.fixture(params=["127.0.0.1", "::1", "unix"])
def echo_everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EchoUpstream]:
    place = {"unix": tmp_path / "up.sock"} if request.param == "unix" else {"host": request.param}
    with EchoUpstream("me", **place) as started:
        yield started


def test_every_kind_of_address(echo_everywhere: EchoUpstream) -> None:
    with RawClient(echo_everywhere.url) as client:
        assert client.get("/x").json()["upstream"] == "me"


def test_the_source_address_can_be_chosen() -> None:
    with EchoUpstream(host=ANY) as echo, RawClient(("127.0.0.1", echo.port), source="127.0.0.9") as client:
        client.get()
        assert client.local_address == "{}:{}".format(*echo.connections[0].peer)
        assert client.local_address.startswith("127.0.0.9:")


def test_a_wildcard_address_is_reached_over_loopback() -> None:
    with EchoUpstream(host=ANY) as echo, RawClient(echo.address) as client:
        assert client.get().status == 200


@pytest.mark.parametrize("address", ["localhost", "http://localhost", ""])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        RawClient(address)


def test_bytes_one_by_one_are_a_request_too() -> None:
    with EchoUpstream() as echo, RawClient(echo.address) as client:
        client.trickle(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().json()["target"] == "/slow"


def test_echo_tells_what_came() -> None:
    with EchoUpstream() as echo, RawClient(echo.address) as client:
        response = client.request("POST", "/x?y", [("Expect", "100-continue"), ("X-A", "b")], b"\xff\x00")
        seen = response.json()
        assert [interim.status for interim in response.interim] == [100]
        assert seen["method"] == "POST"
        assert seen["target"] == "/x?y"
        assert ["X-A", "b"] in seen["headers"]
        assert seen["body"].encode("latin-1") == b"\xff\x00"
        assert (seen["body_length"], seen["connection"]) == (2, 0)
        assert client.request("HEAD").body == b""
