"""Reading HTTP/1.1 messages, strictly, so that a sloppy gateway is noticed.

A test kit must not forgive what it is there to find: a lone LF, a bad chunk size or a missing end raises here instead
of being read as what was probably meant.
"""

from __future__ import annotations

from typing import Literal

from pylos.testing.message import Fields, IncompleteError, Message, ProtocolError, Request, Response
from pylos.testing.stream import ByteStream

Framing = int | Literal["chunked", "until_eof"]
"""How the end of a body is known: a length, chunked coding, or the end of the connection."""


def read_request(stream: ByteStream, connection: int = 0) -> Request | None:
    """Read the head of a request; None when the connection ends before its first byte. The body is not read."""
    head = stream.read_head()
    if head is None:
        return None
    start, headers = split_head(head)
    method, target, version = _three_words(start)
    return Request(version=version, headers=headers, head=head, method=method, target=target, connection=connection)


def read_response_head(stream: ByteStream) -> Response | None:
    """Read one response head, final or 1xx; None when the connection ends before its first byte."""
    head = stream.read_head()
    if head is None:
        return None
    start, headers = split_head(head)
    version, status, *reason = start.split(" ", 2)
    if not (status.isascii() and status.isdigit() and len(status) == 3):
        raise ProtocolError(f"bad status line: {start!r}")
    return Response(version=version, headers=headers, head=head, status=int(status), reason=reason[0] if reason else "")


def read_body(stream: ByteStream, message: Message, framing: Framing) -> None:
    """Read the body of `message` from the stream, with its trailers, and mark the message as complete."""
    if framing == "chunked":
        message.body, message.trailers = _read_chunked(stream)
    elif framing == "until_eof":
        message.body = stream.read_to_end()
    else:
        message.body = stream.read_exactly(framing)
    message.complete = True


def request_framing(request: Request) -> Framing:
    """How the body of a request ends (RFC 9112, 6.3)."""
    framing = _declared_framing(request)
    return 0 if framing is None else framing


def response_framing(response: Response, method: str) -> Framing:
    """How the body of a response to `method` ends (RFC 9112, 6.3)."""
    if method == "HEAD" or response.status < 200 or response.status in {204, 304}:
        return 0
    framing = _declared_framing(response)
    return "until_eof" if framing is None else framing


def split_head(head: bytes) -> tuple[str, Fields]:
    """Split a head into its start line and its fields."""
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        raise ProtocolError(f"a lone CR or LF in a head: {head!r}")
    start, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    return start, [_split_field(line) for line in lines]


def _split_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise ProtocolError(f"bad field line: {line!r}")
    return name, value.strip(" \t")


def _three_words(start: str) -> tuple[str, str, str]:
    words = start.split(" ")
    if len(words) != 3:
        raise ProtocolError(f"bad request line: {start!r}")
    return words[0], words[1], words[2]


def _declared_framing(message: Message) -> Framing | None:
    lengths, codings = message.header_all("content-length"), message.header_all("transfer-encoding")
    if lengths and codings:
        raise ProtocolError("both Content-Length and Transfer-Encoding")
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise ProtocolError(f"unknown transfer coding: {codings}")
        return "chunked"
    if not lengths:
        return None
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise ProtocolError(f"bad Content-Length: {lengths}")
    return int(lengths[0])


def _read_chunked(stream: ByteStream) -> tuple[bytes, Fields]:
    body = bytearray()
    while size := _chunk_size(stream.read_line(), body):
        try:
            body += stream.read_exactly(size)
            if stream.read_exactly(2) != b"\r\n":
                raise ProtocolError("no CRLF behind a chunk")
        except IncompleteError as error:
            raise IncompleteError("the connection ended inside a chunk", bytes(body) + error.partial) from None
    trailers: Fields = []
    while line := stream.read_line():
        trailers.append(_split_field(line.decode("latin-1")))
    return bytes(body), trailers


def _chunk_size(line: bytes | None, body: bytearray) -> int:
    if line is None:
        raise IncompleteError("the connection ended before the last chunk", bytes(body))
    digits = line.partition(b";")[0].strip(b" \t")
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise ProtocolError(f"bad chunk size: {line!r}")
    return int(digits, 16)
