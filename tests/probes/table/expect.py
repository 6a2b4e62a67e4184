"""Expect: 100-continue end to end (RFC 9110, 10.1.1)."""

from __future__ import annotations

from probes.check import Interim, Sent, Stays
from probes.outcome import Answered, BodyRefused, Early, Forwarded, Rejected
from probes.probe import Await, Fin, Probe, Reply
from probes.table.spell import CHUNKED, HOST, answer, get, head, post

EXPECT = b"Expect: 100-continue"
WHOLE = Sent((b"hello",))
INVITES = Reply(invites=True)

PROBES = (
    Probe(
        "expect-waits",
        "RFC 9110 10.1.1",
        "the client waits; exactly one 100 comes, then the answer",
        (post(EXPECT, b"Content-Length: 5"), Await(b" 100 "), b"hello"),
        (Forwarded((Interim(((100,),)), WHOLE, Stays())),),
        reply=INVITES,
    ),
    Probe(
        "expect-letter-case",
        "RFC 9110 10.1.1",
        "the expectation ignores letter case",
        (post(b"expect: 100-Continue", b"Content-Length: 5"), Await(b" 100 "), b"hello"),
        (Forwarded((Interim(((100,),)), WHOLE)),),
        reply=INVITES,
    ),
    Probe(
        "expect-chunked",
        "RFC 9110 10.1.1",
        "the same with a chunked body",
        (post(EXPECT, CHUNKED), Await(b" 100 "), b"5\r\nhello\r\n0\r\n\r\n"),
        (Forwarded((Interim(((100,),)), WHOLE, Stays())),),
        reply=INVITES,
    ),
    Probe(
        "expect-body-at-once",
        "RFC 9110 10.1.1",
        "the client does not wait: at most one 100",
        post(EXPECT, b"Content-Length: 5", body=b"hello"),
        (Forwarded((Interim(((), (100,))), WHOLE, Stays())),),
        reply=INVITES,
    ),
    Probe(
        "expect-no-body",
        "RFC 9110 10.1.1",
        "an expectation without a body",
        get(EXPECT),
        (Forwarded((Interim(((), (100,))),)), Rejected(frozenset({400, 417}))),
    ),
    Probe(
        "expect-1-0",
        "RFC 9110 10.1.1",
        "HTTP/1.0 knows no 1xx: the expectation is ignored",
        head(b"POST /probe HTTP/1.0", HOST, EXPECT, b"Content-Length: 5") + b"hello",
        (Forwarded((Interim(((),)), WHOLE)),),
        reply=INVITES,
    ),
    Probe(
        "expect-unknown",
        "RFC 9110 10.1.1",
        "an unknown expectation is refused with 417 or passed on",
        get(b"Expect: 200-ok"),
        (Answered(frozenset({417})), Forwarded()),
    ),
    Probe(
        "expect-refused",
        "RFC 9110 10.1.1",
        "the upstream answers at once: its answer comes through, the body is never asked for",
        (post(EXPECT, b"Content-Length: 1000000"), Await(b"too much"), Fin()),
        (Early(413, b"too much"),),
        (BodyRefused(silent=True),),
        reply=Reply(early=answer(b"Content-Length: 8", line=b"HTTP/1.1 413 Too Large", body=b"too much"), late=b""),
    ),
)
