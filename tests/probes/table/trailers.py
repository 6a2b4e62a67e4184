"""The trailer section: read strictly, never mistaken for the head (RFC 9110, 6.5; RFC 9112, 7.1.2)."""

from __future__ import annotations

from probes.check import Exact, NoTrailer, Sent
from probes.outcome import BodyRefused, Forwarded
from probes.probe import Probe
from probes.table.spell import CHUNKED, HOST, POST, chunked, head

REFUSED = (BodyRefused(),)
HELLO = Sent((b"hello",))
BODY = b"5\r\nhello\r\n0\r\n"


def _trailers(*lines: bytes) -> bytes:
    return chunked(BODY + b"\r\n".join(lines) + b"\r\n\r\n")


def _bad(name: str, line: bytes, about: str, *, lenient: bool = False) -> Probe:
    tolerated = (Forwarded((HELLO,)),) if lenient else ()
    return Probe(name, "RFC 9112 7.1.2", about, _trailers(b"X-First: 1", line), REFUSED, tolerated)


def _stays_out(name: str, line: bytes, field: bytes, about: str, tolerated: tuple[Forwarded, ...] = ()) -> Probe:
    """The body is whole, and the field is no trailer upstream; refusing the request is right too."""
    right = (Forwarded((HELLO, NoTrailer((field,)))), *REFUSED)
    return Probe(name, "RFC 9110 6.5.1", about, _trailers(line), right, tolerated)


PROBES = (
    Probe(
        "trailer-plain",
        "RFC 9112 7.1.2",
        "a trailer may be passed on or dropped",
        _trailers(b"X-Checksum: 1"),
        (Forwarded((HELLO,)),),
    ),
    Probe(
        "trailer-trickled",
        "RFC 9112 7.1.2",
        "the same, a byte at a time",
        _trailers(b"X-Checksum: 1", b"X-Other: 2"),
        (Forwarded((HELLO,)),),
        trickle=True,
    ),
    Probe(
        "trailer-not-in-head",
        "RFC 9110 6.5.1",
        "a trailer never overrides a field of the head",
        head(POST, HOST, b"X-User: alice", CHUNKED) + BODY + b"X-User: root\r\n\r\n",
        (Forwarded((HELLO, Exact(b"x-user", b"alice"))),),
    ),
    _stays_out("trailer-length", b"Content-Length: 100", b"content-length", "a length in the trailers frames nothing"),
    _stays_out("trailer-coding", b"Transfer-Encoding: gzip", b"transfer-encoding", "nor does a coding"),
    _stays_out("trailer-host", b"Host: b.example", b"host", "nor does Host route"),
    _stays_out("trailer-connection", b"Connection: close", b"connection", "a hop-by-hop field ends here"),
    _stays_out(
        "trailer-forwarded-for",
        b"X-Forwarded-For: 6.6.6.6",
        b"x-forwarded-for",
        "a claimed client address ends here",
        (Forwarded((HELLO,)),),
    ),
    _bad("trailer-no-colon", b"garbage", "a trailer line without a colon", lenient=True),
    _bad("trailer-blank-before-colon", b"X-A : 1", "a blank before the colon", lenient=True),
    _bad("trailer-empty-name", b": 1", "a trailer without a name", lenient=True),
    _bad("trailer-fold", b"X-A: 1\r\n 2", "a folded trailer", lenient=True),
    _bad("trailer-nul", b"X-A: \x00", "a NUL in a trailer", lenient=True),
    _bad("trailer-bare-cr", b"X-A: a\rb", "a lone CR in a trailer", lenient=True),
    _bad("trailer-bare-lf", b"X-A: a\nX-B: b", "a lone LF in a trailer", lenient=True),
    Probe(
        "trailer-endless",
        "RFC 9110 6.5.2",
        "trailers of 200 KB",
        _trailers(*[b"X-%d: " % n + b"x" * 1000 for n in range(200)]),
        (BodyRefused(frozenset({400, 413, 431})),),
        (Forwarded((HELLO,)),),
    ),
)
