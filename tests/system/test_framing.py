"""Where does the body end? Two framings, bad lengths and bad chunk lines are refused; what passes is framed once."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from system.rig import Front, Refusal, Served

from pylos.testing import RawClient, reply
from pylos.testing.plugin import UpstreamFactory

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
BOTH = {
    "length first": HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "coding first": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
    "tab behind chunked": HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\nG",
    "HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "HTTP/1.0, coding alone": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
BAD_LENGTHS = ["+5", "-0", "0_5", "", "5 5", "0x5", "5, 6", "18446744073709551621", "5, 5"]
BAD_LINES = [("5", "6"), ("5", "5")]
BAD_CHUNKS = {
    "LF in the framing": b"5\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
}
GOOD_CHUNKS = {
    "extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "quoted extension": b'5;a="x;y"\r\nhello\r\n0\r\n\r\n',
}
WAYS = pytest.mark.parametrize("way", ["whole", "by byte"])


@WAYS
@pytest.mark.parametrize("data", BOTH.values(), ids=BOTH.keys())
def test_two_framings_are_refused(data: bytes, way: str, plain: Served, refuses: Refusal):
    refuses(plain, data, trickle=way == "by byte")


def test_two_framings_answer_nothing_behind_them(plain: Served):
    """`GET /next` on the same connection meets its end, and is never read as `GGET`."""
    with RawClient(plain.gateway.address()) as client:
        client.send(BOTH["length first"] + b"ET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().status == HTTPStatus.BAD_REQUEST
        client.expect_eof()
    assert b"/next" not in plain.app.received


@pytest.mark.parametrize("value", BAD_LENGTHS)
def test_bad_length_is_refused(value: str, plain: Served, refuses: Refusal):
    refuses(plain, HEAD + f"Content-Length: {value}\r\n\r\nhello".encode())


@pytest.mark.parametrize("values", BAD_LINES, ids=str)
def test_two_lengths_are_refused(values: tuple[str, str], plain: Served, refuses: Refusal):
    lines = "".join(f"Content-Length: {value}\r\n" for value in values)
    refuses(plain, HEAD + lines.encode() + b"\r\nhello")


@pytest.mark.parametrize("value", ["5", "005"])
def test_sound_length_arrives_clean(value: str, plain: Served):
    with RawClient(plain.gateway.address()) as client:
        client.send(HEAD + f"Content-Length: {value}\r\n\r\nhello".encode())
        assert client.read_response().status == HTTPStatus.OK
    assert plain.app.requests[-1].header("content-length") == "5"
    assert plain.app.requests[-1].body == b"hello"


@pytest.mark.parametrize("value", ["+5", "-0", "0_5", "", "5 5", "0x5", "5, 6", "18446744073709551621"])
def test_bad_length_of_an_answer_is_a_502(value: str, front: Front, upstream: UpstreamFactory):
    """And that upstream connection is not used again."""
    bad = f"HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nhello".encode()
    app = upstream(bad, reply(b"fresh"))
    gateway = front(app, pylos="access_log = false\nworkers = 1")
    with RawClient(gateway.address()) as client:
        assert client.get().status == HTTPStatus.BAD_GATEWAY
    with RawClient(gateway.address()) as client:
        assert client.get().body == b"fresh"
    assert [request.connection for request in app.requests] == [0, 1]


def test_two_lengths_of_an_answer_are_a_502(front: Front, upstream: UpstreamFactory):
    app = upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
    with RawClient(front(app).address()) as client:
        assert client.get().status == HTTPStatus.BAD_GATEWAY


@WAYS
@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunk_line_is_refused(body: bytes, way: str, plain: Served, refuses: Refusal):
    refuses(plain, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body, trickle=way == "by byte", begun=True)


@WAYS
@pytest.mark.parametrize("body", GOOD_CHUNKS.values(), ids=GOOD_CHUNKS.keys())
def test_extension_is_accepted_and_not_forwarded(body: bytes, way: str, plain: Served):
    with RawClient(plain.gateway.address()) as client:
        data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body
        (client.trickle if way == "by byte" else client.send)(data)
        assert client.read_response().status == HTTPStatus.OK
    assert plain.app.requests[-1].body == b"hello"
    assert b";a" not in plain.app.received


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunk_line_of_an_answer_never_looks_complete(body: bytes, front: Front, upstream: UpstreamFactory):
    """502 where nothing has been sent yet, else the answer breaks off."""
    app = upstream(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    with RawClient(front(app).address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.read_head()
        if head.status == HTTPStatus.OK:
            assert not client.read_to_end().endswith(b"0\r\n\r\n")
        else:
            assert head.status == HTTPStatus.BAD_GATEWAY
