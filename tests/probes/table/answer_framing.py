"""The upstream's framing: what is ambiguous never reaches a client (RFC 9112, 6.3)."""

from __future__ import annotations

from probes.check import Got, GotBody, NotGot, Stays
from probes.outcome import BadGateway, Cut, Forwarded
from probes.probe import Probe, Reply
from probes.table.spell import CHUNKED, answer, get

BAD = (BadGateway(),)
REFUSED = (BadGateway(), Cut())
PASSED = (Forwarded((GotBody(b"answer"),)),)
LAST = b"6\r\nanswer\r\n0\r\n\r\n"


def _length(name: str, value: bytes, about: str) -> Probe:
    reply = Reply(late=answer(b"Content-Length: " + value, body=b"answer"), close=True)
    return Probe(name, "RFC 9112 6.3", about, get(), BAD, reply=reply)


def _coding(name: str, value: bytes, about: str, *, lenient: bool = False) -> Probe:
    reply = Reply(late=answer(b"Transfer-Encoding: " + value, body=LAST), close=True)
    return Probe(name, "RFC 9112 6.1", about, get(), BAD, PASSED if lenient else (), reply=reply)


def _bodiless(name: str, about: str, right: Forwarded, line: bytes, *fields: bytes, close: bool = False) -> Probe:
    reply = Reply(late=answer(*fields, line=line), close=close)
    return Probe(name, "RFC 9112 6.3", about, get(), (right,), reply=reply)


PROBES = (
    Probe(
        "answer-chunked",
        "RFC 9112 6.3",
        "a chunked answer",
        get(),
        (Forwarded((GotBody(b"answer"), Stays())),),
        reply=Reply(late=answer(CHUNKED, body=LAST)),
    ),
    Probe(
        "answer-until-close",
        "RFC 9112 6.3",
        "an answer that ends with its connection is passed whole",
        get(),
        PASSED,
        reply=Reply(late=answer(body=b"answer"), close=True),
    ),
    Probe(
        "answer-chunked-to-1-0",
        "RFC 9112 7.1",
        "an HTTP/1.0 client never gets chunks",
        get(line=b"GET /probe HTTP/1.0"),
        (Forwarded((GotBody(b"answer"), NotGot((b"transfer-encoding",)))),),
        reply=Reply(late=answer(CHUNKED, body=LAST)),
    ),
    _length("answer-length-plus", b"+6", "a plus sign"),
    _length("answer-length-minus", b"-6", "a minus sign"),
    _length("answer-length-empty", b"", "an empty value"),
    _length("answer-length-letters", b"six", "letters"),
    _length("answer-length-hex", b"0x6", "hexadecimal"),
    _length("answer-length-underscore", b"0_6", "an underscore"),
    _length("answer-length-list-differs", b"6, 5", "a list of different numbers"),
    _length("answer-length-wraps", b"18446744073709551622", "2^64 + 6 wraps to 6"),
    Probe(
        "answer-length-twice-differs",
        "RFC 9112 6.3",
        "two lines that differ",
        get(),
        BAD,
        reply=Reply(late=answer(b"Content-Length: 6", b"Content-Length: 5", body=b"answer"), close=True),
    ),
    Probe(
        "answer-length-twice-equal",
        "RFC 9112 6.3",
        "two equal lines: refused, or one line to the client",
        get(),
        (*BAD, Forwarded((GotBody(b"answer"), Got(b"content-length", b"6")))),
        reply=Reply(late=answer(b"Content-Length: 6", b"Content-Length: 6", body=b"answer")),
    ),
    Probe(
        "answer-both",
        "RFC 9112 6.3",
        "two framings",
        get(),
        BAD,
        PASSED,
        reply=Reply(late=answer(b"Content-Length: 3", CHUNKED, body=LAST), close=True),
    ),
    Probe(
        "answer-coding-1-0",
        "RFC 9112 6.1",
        "a coding in an HTTP/1.0 answer",
        get(),
        BAD,
        (*PASSED, Forwarded((GotBody(LAST),))),
        reply=Reply(late=answer(CHUNKED, line=b"HTTP/1.0 200 OK", body=LAST), close=True),
    ),
    _coding("answer-coding-gzip", b"gzip", "a coding that gives no end"),
    _coding("answer-coding-chunked-gzip", b"chunked, gzip", "chunked is not the last"),
    _coding("answer-coding-twice", b"chunked, chunked", "chunked twice"),
    _coding("answer-coding-empty", b"", "an empty coding"),
    _coding("answer-coding-prefix", b"xchunked", "a name that ends in chunked"),
    _coding("answer-coding-identity", b"identity", "identity is no coding any more"),
    _bodiless(
        "answer-204",
        "204 has no body, no length and no coding",
        Forwarded((GotBody(b""), NotGot((b"content-length", b"transfer-encoding"))), status=204),
        b"HTTP/1.1 204 No Content",
        b"Content-Length: 0",
    ),
    _bodiless(
        "answer-204-coding",
        "a coding on 204 goes",
        Forwarded((GotBody(b""), NotGot((b"content-length", b"transfer-encoding"))), status=204),
        b"HTTP/1.1 204 No Content",
        b"Transfer-Encoding: chunked",
        close=True,
    ),
    _bodiless(
        "answer-304-length",
        "304 keeps the length and has no body",
        Forwarded((GotBody(b""), Got(b"content-length", b"100"), Stays()), status=304),
        b"HTTP/1.1 304 Not Modified",
        b"Content-Length: 100",
    ),
    Probe(
        "answer-204-with-body",
        "RFC 9112 6.3",
        "bytes behind a 204 are nobody's answer",
        get(),
        (Forwarded((GotBody(b""),), status=204), *BAD),
        reply=Reply(late=b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ),
    Probe(
        "answer-head-with-body",
        "RFC 9112 6.3",
        "bytes behind the answer to HEAD are nobody's answer",
        get(line=b"HEAD /probe HTTP/1.1"),
        (Forwarded((GotBody(b""),)), *BAD),
        head=True,
        reply=Reply(late=answer(b"Content-Length: 6", body=b"answer")),
    ),
    Probe(
        "answer-head-chunked",
        "RFC 9110 9.3.2",
        "HEAD with a coding ends at the blank line",
        get(line=b"HEAD /probe HTTP/1.1"),
        (Forwarded((GotBody(b""), Stays())),),
        head=True,
        reply=Reply(late=answer(CHUNKED)),
    ),
    Probe(
        "answer-surplus",
        "RFC 9112 6.3",
        "a second answer that nobody asked for is not the next one's",
        get(),
        (Forwarded((GotBody(b"answer"),)),),
        reply=Reply(late=answer(b"Content-Length: 6", body=b"answer") + answer(b"Content-Length: 4", body=b"evil")),
    ),
    Probe(
        "answer-surplus-garbage",
        "RFC 9112 6.3",
        "nor is garbage behind a body",
        get(),
        (Forwarded((GotBody(b"answer"),)),),
        reply=Reply(late=answer(b"Content-Length: 6", body=b"answergarbage")),
    ),
    Probe(
        "answer-length-cut",
        "RFC 9112 8",
        "the upstream closes inside the body",
        get(),
        REFUSED,
        reply=Reply(late=answer(b"Content-Length: 100", body=b"answer"), close=True),
    ),
)
