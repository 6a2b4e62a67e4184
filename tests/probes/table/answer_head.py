"""The upstream's status line and fields, read as strictly as a client's (RFC 9112, 4 and 5)."""

from __future__ import annotations

from probes.check import Any, Got, GotBody, GotLines, NotGot, Stays
from probes.outcome import BadGateway, Forwarded
from probes.probe import Probe, Reply
from probes.table.spell import answer, get, head

BAD = (BadGateway(),)
LENGTH = b"Content-Length: 6"
PASSED = (Forwarded((GotBody(b"answer"),)),)


def _line(name: str, line: bytes, about: str, *, lenient: bool = False, close: bool = False) -> Probe:
    reply = Reply(late=answer(LENGTH, line=line, body=b"answer"), close=close)
    return Probe(name, "RFC 9112 4", about, get(), BAD, PASSED if lenient else (), reply=reply)


def _field(name: str, line: bytes, about: str, *, lenient: bool = False) -> Probe:
    reply = Reply(late=answer(b"X-First: 1", line, LENGTH, body=b"answer"))
    return Probe(name, "RFC 9112 5", about, get(), BAD, PASSED if lenient else (), reply=reply)


def _passes(name: str, about: str, right: Forwarded, *fields: bytes, tolerated: tuple[Forwarded, ...] = ()) -> Probe:
    reply = Reply(late=answer(*fields, LENGTH, body=b"answer"))
    return Probe(name, "RFC 9110 5", about, get(), (right,), tolerated, reply=reply)


PROBES = (
    Probe("answer-plain", "RFC 9112 4", "a plain answer", get(), (Forwarded((GotBody(b"answer"), Stays())),)),
    _line("answer-no-status", b"HTTP/1.1 OK", "no status code"),
    _line("answer-two-digits", b"HTTP/1.1 20 OK", "a status of two digits"),
    _line("answer-four-digits", b"HTTP/1.1 2000 OK", "a status of four digits"),
    _line("answer-letters", b"HTTP/1.1 2xx OK", "a status with letters"),
    _line("answer-status-zero", b"HTTP/1.1 099 OK", "a status below 100"),
    _line("answer-two-blanks", b"HTTP/1.1  200 OK", "two blanks before the status"),
    _line("answer-version-case", b"http/1.1 200 OK", "the protocol's name in lower case"),
    _line("answer-version-2", b"HTTP/2.0 200 OK", "a major version that does not exist here"),
    _line("answer-other-protocol", b"ICY 200 OK", "another protocol"),
    _line("answer-blank-first", b" HTTP/1.1 200 OK", "a blank before the status line"),
    _line("answer-reason-nul", b"HTTP/1.1 200 O\x00K", "a NUL in the reason"),
    _line("answer-reason-cr", b"HTTP/1.1 200 O\rK", "a lone CR in the reason"),
    Probe(
        "answer-no-reason",
        "RFC 9112 4",
        "an empty reason behind its blank",
        get(),
        PASSED,
        reply=Reply(late=answer(LENGTH, line=b"HTTP/1.1 200 ", body=b"answer")),
    ),
    Probe(
        "answer-no-reason-no-blank",
        "RFC 9112 4",
        "the blank is missing as well: refused, or passed with a sound line",
        get(),
        (*BAD, *PASSED),
        reply=Reply(late=answer(LENGTH, line=b"HTTP/1.1 200", body=b"answer")),
    ),
    Probe(
        "answer-1-0",
        "RFC 9112 2.3",
        "an HTTP/1.0 answer is passed on as HTTP/1.1",
        get(),
        PASSED,
        reply=Reply(late=answer(LENGTH, line=b"HTTP/1.0 200 OK", body=b"answer"), close=True),
    ),
    Probe(
        "answer-0-9",
        "RFC 9112 2.3",
        "bytes without any head",
        get(),
        BAD,
        reply=Reply(late=b"just a body\r\n", close=True),
    ),
    Probe(
        "answer-nothing",
        "RFC 9112 9.5",
        "the upstream closes without a byte",
        get(),
        (BadGateway(frozenset({502, 503})),),
        reply=Reply(late=b"", close=True),
    ),
    Probe(
        "answer-half-head",
        "RFC 9112 8",
        "the upstream closes inside the head",
        get(),
        BAD,
        reply=Reply(late=b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
    ),
    Probe(
        "answer-bare-lf",
        "RFC 9112 2.2",
        "lines that end with a lone LF",
        get(),
        BAD,
        PASSED,
        reply=Reply(late=b"HTTP/1.1 200 OK\nContent-Length: 6\n\nanswer"),
    ),
    Probe(
        "answer-lf-in-value",
        "RFC 9110 5.5",
        "a lone LF splits a field in two",
        get(),
        BAD,
        (Forwarded((GotBody(b"answer"),)),),
        reply=Reply(late=answer(b"X-A: a\nSet-Cookie: evil=1", LENGTH, body=b"answer")),
    ),
    Probe(
        "answer-blank-before-colon",
        "RFC 9112 5.1",
        "a blank before the colon is removed or refused, never passed on",
        get(),
        (*BAD, *PASSED),
        reply=Reply(late=answer(b"X-A : 1", LENGTH, body=b"answer")),
    ),
    Probe(
        "answer-fold",
        "RFC 9112 5.2",
        "a folded line is joined or refused, never passed on",
        get(),
        (*BAD, *PASSED),
        reply=Reply(late=answer(b"X-A: 1", b" 2", LENGTH, body=b"answer")),
    ),
    Probe(
        "answer-fold-first",
        "RFC 9112 5.2",
        "the first field line begins with a blank",
        get(),
        BAD,
        PASSED,
        reply=Reply(late=answer(b" X-A: 1", LENGTH, body=b"answer")),
    ),
    _field("answer-name-empty", b": 1", "a field without a name", lenient=True),
    _field("answer-no-colon", b"garbage", "a line without a colon", lenient=True),
    _field("answer-name-blank", b"X A: 1", "a blank in a name", lenient=True),
    _field("answer-name-nul", b"X\x00A: 1", "a NUL in a name", lenient=True),
    _field("answer-value-nul", b"X-A: a\x00b", "a NUL in a value", lenient=True),
    _field("answer-value-cr", b"X-A: a\rb", "a lone CR in a value", lenient=True),
    _field("answer-value-control", b"X-A: a\x01b", "a control byte in a value", lenient=True),
    _passes(
        "answer-high-bytes",
        "bytes above 0x7f are legal in a value",
        Forwarded((Got(b"x-a", b"\xe4\xff"),)),
        b"X-A: \xe4\xff",
    ),
    _passes(
        "answer-cookies",
        "Set-Cookie lines are never joined",
        Forwarded((GotLines(b"set-cookie", (b"a=1; Path=/", b"b=2, 3")),)),
        b"Set-Cookie: a=1; Path=/",
        b"Set-Cookie: b=2, 3",
    ),
    _passes("answer-date-added", "an answer without Date gets one", Forwarded((Any(b"date"),)), b"X-A: 1"),
    _passes(
        "answer-date-kept",
        "an answer with Date keeps it",
        Forwarded((Got(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT"),)),
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
        tolerated=(Forwarded((Any(b"date"),)),),
    ),
    _passes(
        "answer-origin-hidden",
        "what tells of the origin is removed",
        Forwarded((NotGot((b"x-powered-by", b"via")),)),
        b"X-Powered-By: Origin/1",
        b"Via: 1.1 origin",
        tolerated=(Forwarded(),),
    ),
    Probe(
        "answer-status-999",
        "RFC 9110 15",
        "a status beyond 599 is treated as a server's error, or passed on",
        get(),
        (BadGateway(), Forwarded(status=999)),
        reply=Reply(late=answer(LENGTH, line=b"HTTP/1.1 999 Odd", body=b"answer")),
    ),
    Probe(
        "answer-status-299",
        "RFC 9110 15",
        "an unknown status passes",
        head(b"GET /probe HTTP/1.1", b"Host: a.example"),
        (Forwarded((GotBody(b"answer"),), status=299),),
        reply=Reply(late=answer(LENGTH, line=b"HTTP/1.1 299 Odd", body=b"answer")),
    ),
)
