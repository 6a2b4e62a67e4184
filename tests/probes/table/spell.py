"""The few words that all groups of the table are spelled with."""

from __future__ import annotations

GET = b"GET /probe HTTP/1.1"
POST = b"POST /probe HTTP/1.1"
HOST = b"Host: a.example"
CHUNKED = b"Transfer-Encoding: chunked"


def head(*lines: bytes) -> bytes:
    """A head from its lines, blank line included."""
    return b"\r\n".join(lines) + b"\r\n\r\n"


def get(*fields: bytes, line: bytes = GET) -> bytes:
    """A GET with these field lines behind its Host."""
    return head(line, HOST, *fields)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST with these field lines, then the body as it stands."""
    return head(POST, HOST, *fields) + body


def chunked(*parts: bytes) -> bytes:
    """A chunked POST whose body is spelled by the parts."""
    return post(CHUNKED, body=b"".join(parts))


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    """An upstream's answer from its field lines and raw body."""
    return head(line, *fields) + body
