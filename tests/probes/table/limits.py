"""Every part of a head has a bound (RFC 9110, 4.1, 5.4 and 15.5; RFC 9112, 3)."""

from __future__ import annotations

from probes.check import Exact, Present, Target
from probes.outcome import BadGateway, Forwarded, Rejected
from probes.probe import Probe, Reply
from probes.table.spell import answer, get

KIB = 1024
TOO_LONG = (Rejected(frozenset({400, 414, 431})),)
TOO_LARGE = (Rejected(frozenset({400, 413, 431})),)
FORWARDED = (Forwarded(),)
LONG_PATH = b"/" + b"x" * 4000
COOKIE = b"c=" + b"x" * 4000


PROBES = (
    Probe(
        "line-4-kb",
        "RFC 9112 3",
        "a request line of 4,000 bytes is to be taken",
        get(line=b"GET " + LONG_PATH + b" HTTP/1.1"),
        (Forwarded((Target((LONG_PATH,)),)),),
    ),
    Probe(
        "line-8-kb",
        "RFC 9112 3",
        "8,000 bytes are recommended as the least",
        get(line=b"GET /" + b"x" * 7980 + b" HTTP/1.1"),
        FORWARDED,
    ),
    Probe(
        "line-100-kb",
        "RFC 9110 15.5.15",
        "100 KiB are too many",
        get(line=b"GET /" + b"x" * 100 * KIB + b" HTTP/1.1"),
        TOO_LONG,
    ),
    Probe(
        "line-endless",
        "RFC 9112 3",
        "1 MiB without any line end",
        b"GET /" + b"x" * 1024 * KIB,
        TOO_LONG,
    ),
    Probe(
        "method-100-kb",
        "RFC 9112 3",
        "a method of 100 KiB",
        get(line=b"X" * 100 * KIB + b" /probe HTTP/1.1"),
        (Rejected(frozenset({400, 405, 414, 431, 501})),),
    ),
    Probe(
        "empty-lines-endless",
        "RFC 9112 2.2",
        "100,000 empty lines before the request",
        b"\r\n" * 100_000 + get(),
        (Rejected(frozenset({400, 431}), silent=True),),
        FORWARDED,
    ),
    Probe(
        "field-4-kb",
        "RFC 9110 5.4",
        "a field of 4 KB",
        get(b"Cookie: " + COOKIE),
        (Forwarded((Exact(b"cookie", COOKIE),)),),
    ),
    Probe("field-200-kb", "RFC 6585 5", "a field of 200 KiB", get(b"X-A: " + b"x" * 200 * KIB), TOO_LARGE),
    Probe("field-name-200-kb", "RFC 6585 5", "a field name of 200 KiB", get(b"X" * 200 * KIB + b": 1"), TOO_LARGE),
    Probe(
        "field-endless",
        "RFC 6585 5",
        "1 MiB of field without any line end",
        get()[:-2] + b"X-A: " + b"x" * 1024 * KIB,
        TOO_LARGE,
    ),
    Probe(
        "fields-80",
        "RFC 9110 5.4",
        "eighty fields are nothing unusual",
        get(*[b"X-%d: 1" % n for n in range(80)]),
        (Forwarded((Present(b"x-0"), Present(b"x-79"))),),
    ),
    Probe(
        "fields-1000",
        "RFC 6585 5",
        "a thousand short fields",
        get(*[b"X-%d: 1" % n for n in range(1000)]),
        TOO_LARGE,
        FORWARDED,
    ),
    Probe(
        "fields-200-kb",
        "RFC 6585 5",
        "two hundred fields of 1 KB",
        get(*[b"X-%d: " % n + b"x" * 1000 for n in range(200)]),
        TOO_LARGE,
    ),
    Probe(
        "answer-field-1-mb",
        "RFC 9110 5.4",
        "an upstream's field of 1 MiB",
        get(),
        (BadGateway(),),
        reply=Reply(late=answer(b"X-A: " + b"x" * 1024 * KIB, b"Content-Length: 0")),
    ),
    Probe(
        "answer-head-endless",
        "RFC 9110 5.4",
        "an upstream's head of 1 MiB that does not end",
        get(),
        (BadGateway(),),
        reply=Reply(late=answer(*[b"X-%d: " % n + b"x" * 1000 for n in range(1024)])[:-2], close=True),
    ),
)
