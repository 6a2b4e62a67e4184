"""Interim answers (RFC 9110, 15.2)."""

from __future__ import annotations

from probes.check import GotBody, Interim, Stays
from probes.outcome import BadGateway, Forwarded
from probes.probe import Probe, Reply
from probes.table.spell import answer, get

FINAL = answer(b"Content-Length: 6", body=b"answer")
HINTS = answer(b"Link: </style.css>; rel=preload", line=b"HTTP/1.1 103 Early Hints")
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODY = GotBody(b"answer")


def _interim(name: str, about: str, sent: bytes, *allowed: tuple[int, ...], line: bytes = b"") -> Probe:
    request = get(line=line) if line else get()
    right = (Forwarded((Interim(allowed), BODY)),)
    return Probe(name, "RFC 9110 15.2", about, request, right, reply=Reply(late=sent + FINAL))


PROBES = (
    _interim("interim-hints", "103 comes through before the answer", HINTS, (103,)),
    _interim("interim-several", "several come through in order", PROCESSING + HINTS + HINTS, (102, 103, 103)),
    _interim("interim-unasked-100", "a 100 that nobody waits for may be dropped", CONTINUE, (), (100,)),
    _interim("interim-unknown", "an unknown 1xx is passed on or dropped", b"HTTP/1.1 199 Odd\r\n\r\n", (199,), ()),
    _interim("interim-1-0", "an HTTP/1.0 client never gets a 1xx", HINTS, (), line=b"GET /probe HTTP/1.0"),
    Probe(
        "interim-length",
        "RFC 9110 8.6",
        "a 1xx has no body, whatever its length says",
        get(),
        (Forwarded((BODY, Stays())), BadGateway()),
        reply=Reply(late=answer(b"Content-Length: 6", line=b"HTTP/1.1 103 Early Hints") + FINAL),
    ),
    Probe(
        "interim-only",
        "RFC 9112 8",
        "the upstream closes behind a 1xx",
        get(),
        (BadGateway(),),
        reply=Reply(late=HINTS, close=True),
    ),
    Probe(
        "interim-bad-field",
        "RFC 9112 5",
        "a 1xx with a broken field line",
        get(),
        (BadGateway(),),
        (Forwarded((BODY,)),),
        reply=Reply(late=b"HTTP/1.1 103 Early Hints\r\ngarbage\r\n\r\n" + FINAL, close=True),
    ),
    Probe(
        "interim-head",
        "RFC 9110 15.2",
        "a 1xx before the answer to HEAD",
        get(line=b"HEAD /probe HTTP/1.1"),
        (Forwarded((Interim(((103,),)), Stays())),),
        head=True,
        reply=Reply(late=HINTS + answer(b"Content-Length: 6")),
    ),
)
