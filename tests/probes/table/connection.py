"""Pipelining, persistence, and what belongs to one connection only (RFC 9112, 9; RFC 9110, 7.6)."""

from __future__ import annotations

from probes.check import Closes, Exact, Field, Gone, Got, GotBody, Lacks, NotGot, Present, Sent, Stays, Targets
from probes.outcome import Answered, Forwarded, Rejected
from probes.probe import Probe, Reply
from probes.table.spell import CHUNKED, HOST, answer, get, head, post

CLOSES = (Forwarded((Closes(),)),)
STAYS = (Forwarded((Stays(),)),)


def _dropped(name: str, about: str, gone: tuple[bytes, ...], *fields: bytes) -> Probe:
    return Probe(name, "RFC 9110 7.6.1", about, get(*fields), (Forwarded((Gone(gone), Stays())),))


def _upstream_dropped(name: str, about: str, gone: tuple[bytes, ...], *fields: bytes) -> Probe:
    reply = Reply(late=answer(*fields, b"Content-Length: 6", body=b"answer"))
    return Probe(name, "RFC 9110 7.6.1", about, get(), (Forwarded((NotGot(gone), Stays())),), reply=reply)


PROBES = (
    Probe("keep-alive", "RFC 9112 9.3", "the connection is good for a second request", get(), STAYS),
    Probe(
        "pipelined-three",
        "RFC 9112 9.3.2",
        "three requests in one write, three answers in order",
        get() + get(line=b"GET /probe/2 HTTP/1.1") + get(line=b"GET /probe/3 HTTP/1.1"),
        (Forwarded((Targets((b"/probe", b"/probe/2", b"/probe/3")), Stays()), requests=3),),
    ),
    Probe(
        "pipelined-trickled",
        "RFC 9112 9.3.2",
        "two requests, a byte at a time",
        get() + get(line=b"GET /probe/2 HTTP/1.1"),
        (Forwarded((Targets((b"/probe", b"/probe/2")),), requests=2),),
        trickle=True,
    ),
    Probe(
        "pipelined-length-chunked",
        "RFC 9112 9.3.2",
        "a body by length, one by chunks, then a GET",
        post(b"Content-Length: 3", body=b"one") + post(CHUNKED, body=b"3\r\ntwo\r\n0\r\n\r\n") + get(),
        (Forwarded((Sent((b"one", b"two", b"")), Stays()), requests=3),),
    ),
    Probe(
        "pipelined-bad-second",
        "RFC 9112 9.3.2",
        "a bad request behind a good one: one answer, one refusal, a close",
        get() + get(b"X-A : 1"),
        (Rejected(after=1),),
        (Rejected(after=1, silent=True),),
    ),
    Probe(
        "close-asked",
        "RFC 9112 9.6",
        "after `close` nothing more is read",
        get(b"Connection: close"),
        (Forwarded((Closes(), Got(b"connection", b"close"))),),
    ),
    Probe("close-letter-case", "RFC 9110 7.6.1", "options ignore letter case", get(b"Connection: Close"), CLOSES),
    Probe("close-in-list", "RFC 9110 7.6.1", "close within a list", get(b"Connection: keep-alive, close"), CLOSES),
    Probe(
        "close-second-line",
        "RFC 9110 7.6.1",
        "close on the second Connection line",
        get(b"Connection: keep-alive", b"Connection: close"),
        CLOSES,
    ),
    Probe(
        "close-1-0",
        "RFC 9112 9.3",
        "HTTP/1.0 closes by default",
        get(line=b"GET /probe HTTP/1.0"),
        CLOSES,
    ),
    Probe(
        "keep-alive-1-0",
        "RFC 9112 9.3",
        "HTTP/1.0 may ask to keep the connection; whoever grants it says so",
        get(b"Connection: keep-alive", line=b"GET /probe HTTP/1.0"),
        (Forwarded((Stays(), Got(b"connection", b"keep-alive"))), Forwarded((Closes(),))),
    ),
    Probe(
        "upstream-close-stays",
        "RFC 9112 9.6",
        "the upstream's `close` is about the other connection",
        get(),
        STAYS,
        reply=Reply(late=answer(b"Connection: close", b"Content-Length: 6", body=b"answer"), close=True),
    ),
    Probe(
        "pipelined-upstream-closes",
        "RFC 9112 9.3.2",
        "two requests, each on an upstream connection that closes",
        get() + get(line=b"GET /probe/2 HTTP/1.1"),
        (Forwarded((Targets((b"/probe", b"/probe/2")), Stays()), requests=2),),
        reply=Reply(late=answer(b"Connection: close", b"Content-Length: 6", body=b"answer"), close=True),
    ),
    _dropped("named-by-connection", "a field that Connection names", (b"x-s",), b"Connection: X-S", b"X-S: 1"),
    _dropped(
        "named-by-second-line",
        "named on the second line, the first being empty",
        (b"x-s", b"keep-alive"),
        b"Connection:",
        b"Connection: x-s, keep-alive",
        b"X-S: 1",
        b"Keep-Alive: timeout=5",
    ),
    _dropped("named-letter-case", "named in other letter case", (b"x-s",), b"Connection: ,  x-S ,,", b"X-s: 1"),
    _dropped("hop-keep-alive", "Keep-Alive without being named", (b"keep-alive",), b"Keep-Alive: timeout=5"),
    _dropped("hop-proxy-connection", "Proxy-Connection", (b"proxy-connection",), b"Proxy-Connection: keep-alive"),
    _dropped("hop-te", "TE is for one hop", (b"te",), b"Connection: TE", b"TE: gzip"),
    _dropped("hop-upgrade-unnamed", "Upgrade that Connection does not name", (b"upgrade",), b"Upgrade: h2c"),
    _dropped(
        "hop-http2-settings",
        "HTTP2-Settings that Connection names",
        (b"http2-settings",),
        b"Connection: HTTP2-Settings",
        b"HTTP2-Settings: AAMAAABkAAQAAP__",
    ),
    Probe(
        "names-host",
        "RFC 9110 7.6.1",
        "Connection cannot remove Host",
        get(b"Connection: Host"),
        (Forwarded((Exact(b"host", b"a.example"),)), Rejected()),
    ),
    Probe(
        "names-length",
        "RFC 9110 7.6.1",
        "nor the framing by length",
        post(b"Connection: Content-Length", b"Content-Length: 2", body=b"ab"),
        (Forwarded((Sent((b"ab",)),)), Rejected()),
    ),
    Probe(
        "names-coding",
        "RFC 9110 7.6.1",
        "nor the framing by chunks",
        post(b"Connection: Transfer-Encoding", CHUNKED, body=b"2\r\nab\r\n0\r\n\r\n"),
        (Forwarded((Sent((b"ab",)),)), Rejected()),
    ),
    Probe(
        "names-forwarded-for",
        "RFC 9110 7.6.1",
        "nor the gateway's own X-Forwarded-For",
        get(b"Connection: X-Forwarded-For, close"),
        (Forwarded((Present(b"x-forwarded-for", b"127.0.0.1"),)), Rejected()),
    ),
    Probe(
        "names-close-twice",
        "RFC 9110 7.6.1",
        "a client's `close` does not travel to the upstream",
        get(b"Connection: close, X-S", b"X-S: 1"),
        (Forwarded((Lacks(b"connection", b"close"), Gone((b"x-s",)))),),
    ),
    Probe(
        "forged-forwarded-for",
        "RFC 7239 8.1",
        "a client's own X-Forwarded-For is not believed",
        get(b"X-Forwarded-For: 6.6.6.6"),
        (Forwarded((Exact(b"x-forwarded-for", b"127.0.0.1"),)),),
        (Forwarded((Present(b"x-forwarded-for", b"127.0.0.1"),)),),
    ),
    Probe(
        "via-added",
        "RFC 9110 7.6.3",
        "a gateway adds itself to Via",
        get(b"Via: 1.1 earlier"),
        (Forwarded((Present(b"via", b"1.1 earlier, 1.1 "),)),),
    ),
    Probe(
        "max-forwards-counts",
        "RFC 9110 7.6.2",
        "Max-Forwards counts down on OPTIONS",
        get(b"Max-Forwards: 5", line=b"OPTIONS /probe HTTP/1.1"),
        (Forwarded((Exact(b"max-forwards", b"4"),)), Answered(frozenset({200, 204, 405}))),
    ),
    Probe(
        "list-fields-intact",
        "RFC 9110 5.3",
        "list fields that are no hop's business arrive whole",
        get(b"Accept: a/b;q=0.5, */*", b"Cache-Control: no-cache", b"Cookie: a=1; b=2"),
        (
            Forwarded(
                (
                    Field(b"accept", (b"a/b;q=0.5", b"*/*")),
                    Exact(b"cache-control", b"no-cache"),
                    Exact(b"cookie", b"a=1; b=2"),
                )
            ),
        ),
    ),
    Probe(
        "connection-garbage",
        "RFC 9110 7.6.1",
        "options that are no tokens name nothing",
        get(b'Connection: "X-S", ;, (x)', b"X-S: 1"),
        (Forwarded(), Rejected()),
    ),
    _upstream_dropped(
        "answer-named-by-connection",
        "the answer's own hop-by-hop fields",
        (b"x-s",),
        b"Connection: X-S",
        b"X-S: 1",
    ),
    _upstream_dropped(
        "answer-hop-by-hop",
        "fixed hop-by-hop fields of an answer",
        (b"proxy-connection",),
        b"Keep-Alive: timeout=1",
        b"Proxy-Connection: close",
    ),
    Probe(
        "head-keeps-length",
        "RFC 9110 9.3.2",
        "the answer to HEAD keeps its length and has no body",
        head(b"HEAD /probe HTTP/1.1", HOST),
        (Forwarded((GotBody(b""), Got(b"content-length", b"100"), Stays())),),
        head=True,
        reply=Reply(late=answer(b"Content-Length: 100")),
    ),
)
