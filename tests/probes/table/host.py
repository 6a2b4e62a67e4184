"""Host: exactly one, and a host (RFC 9112, 3.2; RFC 9110, 7.2; RFC 3986, 3.2.2)."""

from __future__ import annotations

from probes.check import Host
from probes.outcome import Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import GET, head

REJECTED = (Rejected(),)


def _bad(name: str, value: bytes, about: str) -> Probe:
    return Probe(name, "RFC 9112 3.2", about, head(GET, b"Host: " + value), REJECTED)


def _good(name: str, line: bytes, about: str, *allowed: bytes) -> Probe:
    return Probe(name, "RFC 9110 7.2", about, head(GET, line), (Forwarded((Host(allowed),)),))


PROBES = (
    _good("host-port", b"Host: a.example:8080", "a host with a port", b"a.example:8080"),
    _good("host-upper-case", b"Host: A.Example", "letter case of a host does not matter", b"a.example"),
    _good("host-field-case", b"hOsT: a.example", "nor that of the field's name", b"a.example"),
    _good("host-tab", b"Host:\ta.example\t", "tabs around the value are no part of it", b"a.example"),
    _good("host-no-blank", b"Host:a.example", "no blank behind the colon", b"a.example"),
    _good("host-ipv4", b"Host: 192.0.2.1", "an IPv4 address", b"192.0.2.1"),
    _good("host-ipv6", b"Host: [2001:db8::1]:8080", "an IPv6 literal with a port", b"[2001:db8::1]:8080"),
    _good("host-underscore", b"Host: a_b.example", "an underscore is legal in a name", b"a_b.example"),
    _good("host-final-dot", b"Host: a.example.", "a final dot is legal", b"a.example.", b"a.example"),
    Probe(
        "host-empty-port",
        "RFC 3986 3.2.3",
        "a colon without digits is an empty port",
        head(GET, b"Host: a.example:"),
        (Forwarded((Host((b"a.example:", b"a.example")),)),),
        REJECTED,
    ),
    Probe("host-missing", "RFC 9112 3.2", "HTTP/1.1 without Host", head(GET, b"X-A: 1"), REJECTED),
    Probe("host-only-line", "RFC 9112 3.2", "HTTP/1.1 with no field at all", head(GET), REJECTED),
    Probe(
        "host-missing-1-0",
        "RFC 9112 3.2",
        "HTTP/1.0 may leave it out",
        head(b"GET /probe HTTP/1.0", b"X-A: 1"),
        (Forwarded(),),
    ),
    Probe(
        "host-twice",
        "RFC 9112 3.2",
        "two different Host lines",
        head(GET, b"Host: a.example", b"Host: b.example"),
        REJECTED,
    ),
    Probe(
        "host-twice-equal",
        "RFC 9112 3.2",
        "two equal Host lines",
        head(GET, b"Host: a.example", b"Host: a.example"),
        REJECTED,
    ),
    Probe(
        "host-twice-apart",
        "RFC 9112 3.2",
        "two Host lines with other fields between, in other letter case",
        head(GET, b"Host: a.example", b"X-A: 1", b"X-B: 2", b"HOST: b.example"),
        REJECTED,
    ),
    Probe(
        "host-twice-1-0",
        "RFC 9112 3.2",
        "two Host lines in HTTP/1.0",
        head(b"GET /probe HTTP/1.0", b"Host: a.example", b"Host: b.example"),
        REJECTED,
    ),
    Probe(
        "host-folded",
        "RFC 9112 5.2",
        "a folded Host",
        head(GET, b"Host: a.exa", b" mple"),
        REJECTED,
    ),
    Probe(
        "host-blank-before-colon",
        "RFC 9112 5.1",
        "a blank before Host's colon",
        head(GET, b"Host : a.example"),
        REJECTED,
    ),
    _bad("host-empty", b"", "an empty Host"),
    _bad("host-inner-blank", b"a.example b.example", "two names"),
    _bad("host-comma", b"a.example, b.example", "a list"),
    _bad("host-userinfo", b"joe@a.example", "user information"),
    _bad("host-path", b"a.example/x", "a path behind the name"),
    _bad("host-query", b"a.example?x", "a query behind the name"),
    _bad("host-fragment", b"a.example#x", "a fragment behind the name"),
    _bad("host-scheme", b"http://a.example", "a whole URL"),
    _bad("host-port-letters", b"a.example:http", "a port of letters"),
    _bad("host-port-sign", b"a.example:-1", "a port with a sign"),
    _bad("host-port-big", b"a.example:65536", "a port beyond 65535"),
    _bad("host-two-ports", b"a.example:80:80", "two ports"),
    _bad("host-port-only", b":80", "a port without a name"),
    _bad("host-open-bracket", b"[2001:db8::1", "an IPv6 literal that is not closed"),
    _bad("host-bare-ipv6", b"2001:db8::1", "an IPv6 address without brackets"),
    _bad("host-bracket-tail", b"[2001:db8::1]x", "letters behind the bracket"),
    _bad("host-nul", b"a.example\x00.b", "a NUL"),
    _bad("host-control", b"a\x01.example", "a control byte"),
    _bad("host-high-byte", b"\xc3\xa4.example", "a byte above 0x7f"),
    _bad("host-bad-escape", b"a%zz.example", "a broken escape"),
    _bad("host-backslash", b"a.example\\b", "a backslash"),
)
