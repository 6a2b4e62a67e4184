"""The upstream's chunks: a broken body never looks complete (RFC 9112, 7.1 and 8)."""

from __future__ import annotations

from probes.check import GotBody, NotGot
from probes.outcome import BadGateway, Cut, Dropped, Forwarded
from probes.probe import Probe, Reply
from probes.table.spell import CHUNKED, answer, get

REFUSED = (BadGateway(), Cut())
PASSED = (Forwarded((GotBody(b"answer"),)),)
END = b"0\r\n\r\n"


def _bad(name: str, body: bytes, about: str, *, lenient: bool = False) -> Probe:
    reply = Reply(late=answer(CHUNKED, body=body), close=True)
    tolerated = (*PASSED, Dropped()) if lenient else (Dropped(),)
    return Probe(name, "RFC 9112 7.1", about, get(), REFUSED, tolerated, reply=reply)


def _good(name: str, body: bytes, about: str) -> Probe:
    return Probe(name, "RFC 9112 7.1", about, get(), PASSED, reply=Reply(late=answer(CHUNKED, body=body)))


PROBES = (
    _good("answer-chunk-extension", b'6;a="x;y"\r\nanswer\r\n' + END, "extensions are read and dropped"),
    _good("answer-chunk-per-byte", b"".join(b"1\r\n%c\r\n" % byte for byte in b"answer") + END, "a chunk a byte"),
    _bad("answer-chunk-size-lf", b"6\nanswer\r\n" + END, "a lone LF ends the size", lenient=True),
    _bad("answer-chunk-data-lf", b"6\r\nanswer\n" + END, "a lone LF ends the data", lenient=True),
    _bad("answer-chunk-extension-lf", b"6;a=\nb\r\nanswer\r\n" + END, "a lone LF in an extension"),
    _bad("answer-chunk-letter", b"g\r\nanswer\r\n" + END, "a size that is no number"),
    _bad("answer-chunk-minus", b"-6\r\nanswer\r\n" + END, "a minus sign"),
    _bad("answer-chunk-prefix", b"0x6\r\nanswer\r\n" + END, "the prefix 0x"),
    _bad("answer-chunk-empty-size", b"\r\nanswer\r\n" + END, "no size at all"),
    _bad("answer-chunk-wraps", b"10000000000000006\r\nanswer\r\n" + END, "2^64 + 6 wraps to 6"),
    _bad("answer-chunk-blank-before", b" 6\r\nanswer\r\n" + END, "a blank before the size", lenient=True),
    _bad("answer-chunk-too-long", b"5\r\nanswer\r\n" + END, "one byte more than the size says"),
    _bad("answer-chunk-too-short", b"7\r\nanswer\r\n" + END, "one byte less than the size says"),
    _bad("answer-chunk-cut-data", b"6\r\nans", "the connection ends inside a chunk"),
    _bad("answer-chunk-cut-between", b"6\r\nanswer\r\n", "the connection ends before the last chunk"),
    _bad("answer-chunk-cut-end", b"6\r\nanswer\r\n0\r\n", "the connection ends before the last CRLF"),
    Probe(
        "answer-trailer",
        "RFC 9112 7.1.2",
        "a trailer may be passed on or dropped",
        get(),
        PASSED,
        reply=Reply(late=answer(CHUNKED, body=b"6\r\nanswer\r\n0\r\nX-Checksum: 1\r\n\r\n")),
    ),
    Probe(
        "answer-trailer-framing",
        "RFC 9110 6.5.1",
        "a length in the trailers frames nothing",
        get(),
        (Forwarded((GotBody(b"answer"), NotGot((b"content-length",)))), *REFUSED),
        reply=Reply(late=answer(CHUNKED, body=b"6\r\nanswer\r\n0\r\nContent-Length: 100\r\n\r\n")),
    ),
    Probe(
        "answer-trailer-bad",
        "RFC 9112 7.1.2",
        "a trailer line without a colon",
        get(),
        REFUSED,
        (*PASSED, Dropped()),
        reply=Reply(late=answer(CHUNKED, body=b"6\r\nanswer\r\n0\r\ngarbage\r\n\r\n"), close=True),
    ),
    Probe(
        "answer-trailer-splits",
        "RFC 9110 5.5",
        "a lone LF in a trailer",
        get(),
        REFUSED,
        (*PASSED, Dropped()),
        reply=Reply(late=answer(CHUNKED, body=b"6\r\nanswer\r\n0\r\nX-A: a\nX-B: b\r\n\r\n"), close=True),
    ),
)
