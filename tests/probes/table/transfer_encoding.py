"""Transfer-Encoding: chunked, once, last, alone (RFC 9112, 6.1 and 6.3)."""

from __future__ import annotations

from probes.check import Gone, Sent
from probes.outcome import Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import CHUNKED, HOST, get, head, post

REJECTED = (Rejected(),)
UNKNOWN = (Rejected(frozenset({400, 501})),)
BODY = b"5\r\nabcde\r\n0\r\n\r\n"
EMPTY = b"0\r\n\r\n"
WHOLE = (Forwarded((Sent((b"abcde",)),)),)


def _coding(name: str, value: bytes, about: str, right: tuple[Rejected, ...] = UNKNOWN) -> Probe:
    field = b"Transfer-Encoding: " + value
    return Probe(name, "RFC 9112 6.1", about, post(field, body=BODY), right)


def _both(name: str, about: str, *fields: bytes) -> Probe:
    """Two framings, with the classic body: by the length six bytes, by the coding five."""
    tolerated = (Forwarded((Sent((b"",)),)),)
    return Probe(name, "RFC 9112 6.3", about, post(*fields, body=EMPTY + b"G"), REJECTED, tolerated)


PROBES = (
    Probe("coding-chunked", "RFC 9112 6.1", "a chunked body", post(CHUNKED, body=BODY), WHOLE),
    Probe("coding-trickled", "RFC 9112 7.1", "a byte at a time", post(CHUNKED, body=BODY), WHOLE, trickle=True),
    Probe(
        "coding-letter-case",
        "RFC 9110 8.4.1",
        "coding names ignore letter case",
        post(b"tRANSFER-eNCODING: cHUNKED", body=BODY),
        WHOLE,
    ),
    Probe(
        "coding-tab-after",
        "RFC 9112 5.1",
        "blanks around the value are no part of it",
        post(b"Transfer-Encoding:\tchunked\t ", body=BODY),
        WHOLE,
        REJECTED,
    ),
    Probe("coding-get", "RFC 9112 6.3", "a GET with a chunked body", get(CHUNKED) + BODY, WHOLE, REJECTED),
    _both("both-length-first", "Content-Length, then Transfer-Encoding", b"Content-Length: 6", CHUNKED),
    _both("both-coding-first", "Transfer-Encoding, then Content-Length", CHUNKED, b"Content-Length: 6"),
    _both(
        "both-tab",
        "the same with a tab behind the coding",
        b"Content-Length: 6",
        b"Transfer-Encoding: chunked\t",
    ),
    _both(
        "both-letter-case",
        "the same in other letter case, fields between",
        b"content-length: 6",
        b"X-A: 1",
        b"TRANSFER-ENCODING: CHUNKED",
    ),
    _both("both-zero", "a length of nothing beside the coding", b"Content-Length: 0", CHUNKED),
    Probe(
        "both-unknown",
        "RFC 9112 6.3",
        "a length beside an unknown coding",
        post(b"Content-Length: 5", b"Transfer-Encoding: xchunked", body=b"abcde"),
        UNKNOWN,
    ),
    Probe(
        "both-empty-coding",
        "RFC 9112 6.3",
        "a length beside an empty coding",
        post(b"Content-Length: 5", b"Transfer-Encoding:", body=b"abcde"),
        UNKNOWN,
    ),
    Probe(
        "both-1-0",
        "RFC 9112 6.1",
        "both in HTTP/1.0",
        head(b"POST /probe HTTP/1.0", HOST, b"Content-Length: 6", CHUNKED) + EMPTY + b"G",
        REJECTED,
    ),
    Probe(
        "coding-1-0",
        "RFC 9112 6.1",
        "HTTP/1.0 has no transfer codings: the framing is faulty",
        head(b"POST /probe HTTP/1.0", HOST, CHUNKED) + BODY,
        UNKNOWN,
        WHOLE,
    ),
    _coding("coding-empty", b"", "an empty value"),
    _coding("coding-gzip", b"gzip", "a coding that gives no end", UNKNOWN),
    _coding("coding-gzip-chunked", b"gzip, chunked", "a coding the gateway does not know"),
    _coding("coding-chunked-gzip", b"chunked, gzip", "chunked is not the last"),
    _coding("coding-identity", b"identity", "identity is no transfer coding any more"),
    _coding("coding-chunked-identity", b"chunked, identity", "identity behind chunked"),
    _coding("coding-chunked-twice", b"chunked, chunked", "chunked may be applied once"),
    _coding("coding-prefix", b"xchunked", "a name that ends in chunked"),
    _coding("coding-suffix", b"chunkedx", "a name that begins with chunked"),
    _coding("coding-quoted", b'"chunked"', "quotes"),
    _coding("coding-parameter", b"chunked;q=1", "chunked takes no parameters"),
    _coding("coding-vertical-tab", b"\x0bchunked", "a vertical tab is no blank"),
    _coding("coding-form-feed-after", b"chunked\x0c", "nor is a form feed"),
    _coding("coding-nul", b"chunked\x00", "a NUL"),
    _coding("coding-no-comma", b"chunked gzip", "two names without a comma"),
    _coding("coding-semicolon", b"chunked;", "a bare semicolon"),
    Probe(
        "coding-empty-element",
        "RFC 9110 5.6.1",
        "empty list elements are to be ignored",
        post(b"Transfer-Encoding: , chunked", body=BODY),
        (*WHOLE, *UNKNOWN),
    ),
    Probe(
        "coding-two-lines",
        "RFC 9112 6.1",
        "chunked on two lines",
        post(CHUNKED, CHUNKED, body=BODY),
        UNKNOWN,
    ),
    Probe(
        "coding-two-lines-identity",
        "RFC 9112 6.1",
        "identity on a line of its own",
        post(CHUNKED, b"Transfer-Encoding: identity", body=BODY),
        UNKNOWN,
    ),
    Probe(
        "coding-blank-before-colon",
        "RFC 9112 5.1",
        "a blank before the colon",
        post(b"Transfer-Encoding : chunked", body=BODY),
        REJECTED,
    ),
    Probe(
        "coding-name-nul",
        "RFC 9112 5.1",
        "a NUL in the name",
        post(b"Transfer-Encoding\x00: chunked", body=BODY),
        REJECTED,
    ),
    Probe(
        "coding-folded",
        "RFC 9112 5.2",
        "the coding on a folded line",
        post(b"Transfer-Encoding:", b" chunked", body=BODY),
        REJECTED,
        WHOLE,
    ),
    Probe(
        "coding-beside-similar",
        "RFC 9110 5.1",
        "a field whose name only resembles it frames nothing",
        post(b"X-Transfer-Encoding: chunked", b"Content-Length: 5", body=b"abcde"),
        (Forwarded((Sent((b"abcde",)), Gone((b"transfer-encoding",)))),),
    ),
)
