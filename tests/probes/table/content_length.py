"""Content-Length as framing: digits, once (RFC 9110, 8.6; RFC 9112, 6.2 and 6.3)."""

from __future__ import annotations

from probes.check import Exact, Sent, Targets
from probes.outcome import BodyRefused, Forwarded, Rejected
from probes.probe import Fin, Probe
from probes.table.spell import POST, get, head, post

REJECTED = (Rejected(),)
BODY = b"abcde"
FIVE = (Forwarded((Exact(b"content-length", b"5"), Sent((BODY,)))),)


def _bad(name: str, value: bytes, about: str) -> Probe:
    field = b"Content-Length: " + value
    return Probe(name, "RFC 9110 8.6", about, post(field, body=BODY), REJECTED)


PROBES = (
    Probe("length-plain", "RFC 9112 6.2", "five bytes", post(b"Content-Length: 5", body=BODY), FIVE),
    Probe(
        "length-trickled", "RFC 9112 6.2", "a byte at a time", post(b"Content-Length: 5", body=BODY), FIVE, trickle=True
    ),
    Probe(
        "length-zeros",
        "RFC 9110 8.6",
        "leading zeros are digits",
        post(b"Content-Length: 005", body=BODY),
        (Forwarded((Sent((BODY,)),)),),
        REJECTED,
    ),
    Probe(
        "length-blanks-around",
        "RFC 9112 5.1",
        "blanks around the value are no part of it",
        post(b"Content-Length: \t5 ", body=BODY),
        FIVE,
    ),
    Probe("length-zero", "RFC 9112 6.2", "an empty body", post(b"Content-Length: 0"), (Forwarded((Sent((b"",)),)),)),
    Probe(
        "length-field-case",
        "RFC 9110 5.1",
        "the name in other letter case",
        post(b"cONTENT-lENGTH: 5", body=BODY),
        FIVE,
    ),
    Probe(
        "length-get",
        "RFC 9110 9.3.1",
        "a GET with a body is framed like any other request",
        get(b"Content-Length: 5") + BODY,
        FIVE,
        REJECTED,
    ),
    Probe(
        "length-none-post",
        "RFC 9112 6.3",
        "a POST without framing has no body",
        head(POST, b"Host: a.example"),
        (Forwarded((Sent((b"",)),)),),
        (Rejected(frozenset({411})),),
    ),
    Probe(
        "length-1-0",
        "RFC 9112 6.3",
        "HTTP/1.0 with a length",
        head(b"POST /probe HTTP/1.0", b"Host: a.example", b"Content-Length: 5") + BODY,
        FIVE,
    ),
    _bad("length-plus", b"+5", "a plus sign"),
    _bad("length-minus", b"-5", "a minus sign"),
    _bad("length-minus-zero", b"-0", "minus nothing"),
    _bad("length-underscore", b"0_5", "an underscore between digits"),
    _bad("length-empty", b"", "an empty value"),
    _bad("length-two-numbers", b"5 5", "two numbers"),
    _bad("length-hex", b"0x5", "hexadecimal"),
    _bad("length-list-differs", b"5, 6", "a list of different numbers"),
    _bad("length-decimal", b"5.0", "a decimal point"),
    _bad("length-exponent", b"5e0", "an exponent"),
    _bad("length-semicolon", b"5;", "a semicolon"),
    _bad("length-quoted", b'"5"', "quotes"),
    _bad("length-letters", b"five", "letters"),
    _bad("length-64-bit-wrap", b"18446744073709551621", "2^64 + 5 wraps to 5"),
    _bad("length-32-bit-wrap-minus", b"-4294967291", "a negative number that wraps to 5"),
    _bad("length-huge", b"9" * 60, "sixty digits"),
    _bad("length-vertical-tab", b"\x0b5", "a vertical tab is no blank"),
    _bad("length-nul", b"5\x00", "a NUL"),
    _bad("length-fullwidth", b"\xef\xbc\x95", "a digit that is one in Unicode only"),
    Probe(
        "length-twice-differs",
        "RFC 9112 6.3",
        "two lines that differ",
        post(b"Content-Length: 5", b"Content-Length: 6", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-twice-differs-apart",
        "RFC 9112 6.3",
        "two lines that differ, in other letter case and with a line between",
        post(b"Content-Length: 5", b"X-A: 1", b"content-LENGTH: 0", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-twice-equal",
        "RFC 9112 6.3",
        "two equal lines",
        post(b"Content-Length: 5", b"Content-Length: 5", body=BODY),
        REJECTED,
        FIVE,
    ),
    Probe(
        "length-list-equal",
        "RFC 9112 6.3",
        "a list of equal numbers",
        post(b"Content-Length: 5, 5", body=BODY),
        REJECTED,
        FIVE,
    ),
    Probe(
        "length-list-empty-first",
        "RFC 9110 8.6",
        "a list with an empty element",
        post(b"Content-Length: ,5", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-blank-before-colon",
        "RFC 9112 5.1",
        "a blank before the colon",
        post(b"Content-Length : 5", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-tab-before-colon",
        "RFC 9112 5.1",
        "a tab before the colon",
        post(b"Content-Length\t: 5", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-folded",
        "RFC 9112 5.2",
        "the number on a folded line",
        post(b"Content-Length:", b" 5", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-folded-number",
        "RFC 9112 5.2",
        "a fold between digits",
        post(b"Content-Length: 1", b" 5", body=BODY),
        REJECTED,
    ),
    Probe(
        "length-too-short",
        "RFC 9112 6.2",
        "what follows the body is a request of its own",
        post(b"Content-Length: 5", body=BODY + get()),
        (Forwarded((Targets((b"/probe", b"/probe")), Sent((BODY, b""))), requests=2),),
    ),
    Probe(
        "length-body-looks-like-request",
        "RFC 9112 6.2",
        "a request inside the body is body",
        post(b"Content-Length: %d" % len(get()), body=get()),
        (Forwarded((Sent((get(),)),)),),
    ),
    Probe(
        "length-body-cut",
        "RFC 9112 8",
        "the client ends its side inside the body",
        (post(b"Content-Length: 10", body=BODY), Fin()),
        (BodyRefused(frozenset({400, 408, 499}), silent=True),),
    ),
)
