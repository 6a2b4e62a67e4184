"""Upgrade: WebSocket becomes a tunnel, everything else stays HTTP (RFC 9110, 7.8)."""

from __future__ import annotations

from probes.check import Closes, Exact, Gone, Got, GotBody, Lacks, Present, Stays, Tunnel
from probes.outcome import BadGateway, Forwarded, Rejected
from probes.probe import Await, Fin, Probe, Reply
from probes.table.spell import answer, get

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ASKS = (b"Connection: Upgrade", b"Upgrade: websocket", KEY, b"Sec-WebSocket-Version: 13")
SWITCHES = answer(
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzhTPpl0XGcg=",
    line=b"HTTP/1.1 101 Switching Protocols",
)
ECHO = Reply(late=SWITCHES, echo=True)
FRAME = b"\x81\x85\x01\x02\x03\x04iggh\x6e"
PLAIN = (Forwarded((Gone((b"upgrade",)), Lacks(b"connection", b"upgrade"), Stays())),)


def _plain(name: str, about: str, *fields: bytes) -> Probe:
    return Probe(name, "RFC 9110 7.8", about, get(*fields), (*PLAIN, Rejected()))


PROBES = (
    Probe(
        "websocket",
        "RFC 6455 4",
        "the handshake passes with its fields, then bytes go both ways",
        (get(*ASKS), Await(b"\r\n\r\n"), FRAME, Await(FRAME), Fin()),
        (Forwarded((Tunnel(FRAME), Got(b"upgrade", b"websocket"), Present(b"sec-websocket-key")), status=101),),
        reply=ECHO,
    ),
    Probe(
        "websocket-two-options",
        "RFC 9110 7.8",
        "Connection with two options, in other letter case",
        (
            get(b"Connection: keep-alive, upgrade", b"Upgrade: WebSocket", KEY, b"Sec-WebSocket-Version: 13"),
            Await(b"\r\n\r\n"),
            FRAME,
            Await(FRAME),
            Fin(),
        ),
        (Forwarded((Tunnel(FRAME),), status=101),),
        reply=ECHO,
    ),
    Probe(
        "websocket-bytes-behind",
        "RFC 9110 7.8",
        "bytes right behind the upstream's 101 belong to the tunnel",
        (get(*ASKS), Await(b"hello"), Fin()),
        (Forwarded((Tunnel(b"hello"),), status=101),),
        reply=Reply(late=SWITCHES + b"hello", echo=True),
    ),
    Probe(
        "websocket-refused",
        "RFC 9110 7.8",
        "the upstream declines: an ordinary answer, an ordinary connection",
        get(*ASKS),
        (Forwarded((GotBody(b"answer"), Stays())), Forwarded((GotBody(b"answer"), Closes()))),
    ),
    _plain("upgrade-h2c", "h2c must not let a client talk past the gateway", b"Connection: Upgrade", b"Upgrade: h2c"),
    _plain(
        "upgrade-h2c-settings",
        "the same with its settings",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAAP__",
    ),
    _plain("upgrade-tls", "TLS within", b"Connection: Upgrade", b"Upgrade: TLS/1.0"),
    _plain("upgrade-not-named", "Upgrade without Connection: Upgrade is ignored", b"Upgrade: websocket", KEY),
    Probe(
        "upgrade-list",
        "RFC 9110 7.8",
        "of several protocols only the allowed one may be offered",
        get(b"Connection: Upgrade", b"Upgrade: h2c, websocket", KEY),
        (Forwarded((Lacks(b"upgrade", b"h2c"),)), Rejected()),
    ),
    Probe(
        "upgrade-1-0",
        "RFC 9110 7.8",
        "an HTTP/1.0 client cannot upgrade",
        get(*ASKS, line=b"GET /probe HTTP/1.0"),
        (Forwarded((Gone((b"upgrade",)),)), Rejected()),
    ),
    Probe(
        "unasked-101",
        "RFC 9110 15.2.2",
        "a 101 that nobody asked for",
        get(),
        (BadGateway(),),
        reply=Reply(late=SWITCHES + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", close=True),
    ),
    Probe(
        "unoffered-101",
        "RFC 9110 7.8",
        "a 101 to a protocol that was not offered",
        (get(*ASKS), Await(b"\r\n\r\n"), Fin()),
        (BadGateway(),),
        (Forwarded(status=101),),
        reply=Reply(
            late=answer(b"Connection: Upgrade", b"Upgrade: other", line=b"HTTP/1.1 101 Switching Protocols"), close=True
        ),
    ),
    Probe(
        "websocket-subprotocol",
        "RFC 6455 4.1",
        "subprotocols and extensions arrive unchanged",
        (get(*ASKS, b"Sec-WebSocket-Protocol: chat, superchat"), Await(b"\r\n\r\n"), Fin()),
        (Forwarded((Exact(b"sec-websocket-protocol", b"chat, superchat"),), status=101),),
        reply=ECHO,
    ),
)
