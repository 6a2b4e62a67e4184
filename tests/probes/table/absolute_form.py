"""Absolute-form targets: the authority is the target's, whatever Host says (RFC 9112, 3.2.2; RFC 9110, 4.2)."""

from __future__ import annotations

from probes.check import Host, Target
from probes.outcome import Answered, Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import HOST, head

A = (b"a.example", b"a.example:80")
REJECTED = (Rejected(),)


def _absolute(target: bytes, *fields: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return head(method + b" " + target + b" " + version, *fields)


def _unchanged(target: bytes, hosts: tuple[bytes, ...] = A) -> tuple[Forwarded, ...]:
    """A server must take the absolute form too, so passing it on is tolerated where Host agrees with it."""
    return (Forwarded((Target((target,)), Host(hosts))),)


def _to(path: bytes, hosts: tuple[bytes, ...] = A) -> tuple[Forwarded, ...]:
    return (Forwarded((Target((path,)), Host(hosts))),)


def _bad(name: str, target: bytes, about: str, tolerated: tuple[Forwarded, ...] = ()) -> Probe:
    return Probe(name, "RFC 9110 4.2", about, _absolute(target, HOST), REJECTED, tolerated)


PROBES = (
    Probe(
        "absolute-same-host",
        "RFC 9112 3.2.2",
        "an absolute target goes on as path and Host",
        _absolute(b"http://a.example/probe?x=1", HOST),
        _to(b"/probe?x=1"),
        _unchanged(b"http://a.example/probe?x=1"),
    ),
    Probe(
        "absolute-other-host",
        "RFC 9112 3.2.2",
        "where Host differs, the target's authority replaces it",
        _absolute(b"http://a.example/probe", b"Host: b.example"),
        _to(b"/probe"),
        (Rejected(),),
    ),
    Probe(
        "absolute-default-port",
        "RFC 9110 4.2.1",
        "port 80 in Host is the same host",
        _absolute(b"http://a.example/probe", b"Host: a.example:80"),
        _to(b"/probe"),
        _unchanged(b"http://a.example/probe"),
    ),
    Probe(
        "absolute-other-port",
        "RFC 9112 3.2.2",
        "where the ports differ, the target's wins",
        _absolute(b"http://a.example:8081/probe", b"Host: a.example:8082"),
        _to(b"/probe", (b"a.example:8081",)),
        (Rejected(),),
    ),
    Probe(
        "absolute-no-path",
        "RFC 9112 3.2.1",
        "no path is the path /",
        _absolute(b"http://a.example", HOST),
        _to(b"/"),
        _unchanged(b"http://a.example"),
    ),
    Probe(
        "absolute-no-path-query",
        "RFC 9112 3.2.1",
        "no path, but a query",
        _absolute(b"http://a.example?x=1", HOST),
        _to(b"/?x=1"),
        (*_unchanged(b"http://a.example?x=1"), Rejected()),
    ),
    Probe(
        "absolute-letter-case",
        "RFC 9110 4.2.3",
        "scheme and host ignore letter case",
        _absolute(b"HTTP://A.EXAMPLE/probe", HOST),
        _to(b"/probe"),
        _unchanged(b"HTTP://A.EXAMPLE/probe"),
    ),
    Probe(
        "absolute-options-star",
        "RFC 9112 3.2.4",
        "OPTIONS without a path means the whole server",
        _absolute(b"http://a.example", HOST, method=b"OPTIONS"),
        (*_to(b"*"), Answered(frozenset({200, 204})), Rejected(frozenset({400, 404, 405, 501}))),
        (*_to(b"/"), *_unchanged(b"http://a.example")),
    ),
    Probe(
        "absolute-ipv6",
        "RFC 3986 3.2.2",
        "an IPv6 literal as authority",
        _absolute(b"http://[2001:db8::1]:8080/probe", b"Host: [2001:db8::1]:8080"),
        _to(b"/probe", (b"[2001:db8::1]:8080",)),
        _unchanged(b"http://[2001:db8::1]:8080/probe", (b"[2001:db8::1]:8080",)),
    ),
    Probe(
        "absolute-1-0-no-host",
        "RFC 9112 3.2.2",
        "HTTP/1.0 without Host: the target gives it",
        _absolute(b"http://a.example/probe", version=b"HTTP/1.0"),
        _to(b"/probe"),
        _unchanged(b"http://a.example/probe"),
    ),
    Probe(
        "absolute-dots",
        "RFC 3986 5.2.4",
        "dot segments are removed here as well",
        _absolute(b"http://a.example/x/../probe", HOST),
        _to(b"/probe"),
        (*_to(b"/x/../probe"), *_unchanged(b"http://a.example/x/../probe")),
    ),
    Probe(
        "absolute-no-host",
        "RFC 9112 3.2",
        "HTTP/1.1 needs Host even so",
        _absolute(b"http://a.example/probe"),
        REJECTED,
    ),
    Probe(
        "absolute-two-hosts",
        "RFC 9112 3.2",
        "two Host lines even so",
        _absolute(b"http://a.example/probe", HOST, b"Host: b.example"),
        REJECTED,
    ),
    Probe(
        "absolute-bad-host-field",
        "RFC 9112 3.2",
        "an invalid Host even so",
        _absolute(b"http://a.example/probe", b"Host: b example"),
        REJECTED,
    ),
    _bad("absolute-userinfo", b"http://joe@a.example/probe", "user information is a phisher's tool", _to(b"/probe")),
    _bad("absolute-userinfo-host", b"http://a.example@b.example/probe", "an at-sign that shifts the host"),
    _bad("absolute-empty-host", b"http:///probe", "an empty authority"),
    _bad("absolute-port-only", b"http://:80/probe", "a port without a host"),
    _bad("absolute-bad-port", b"http://a.example:port/probe", "a port of letters"),
    _bad("absolute-big-port", b"http://a.example:65536/probe", "a port beyond 65535"),
    _bad("absolute-open-bracket", b"http://[2001:db8::1/probe", "an IPv6 literal that is not closed"),
    _bad("absolute-blank-host", b"http://a%20.example/probe", "an escaped blank in the host"),
    _bad("absolute-backslash", b"http://a.example\\b/probe", "a backslash in the authority"),
    _bad("absolute-one-slash", b"http:/a.example/probe", "one slash behind the scheme"),
    _bad("absolute-other-scheme", b"ftp://a.example/probe", "a scheme that is not HTTP"),
    _bad("absolute-no-scheme-name", b"://a.example/probe", "an empty scheme"),
    Probe(
        "absolute-https",
        "RFC 9110 4.2.2",
        "an https target on a clear connection is refused, or at least not called https upstream",
        _absolute(b"https://a.example/probe", HOST),
        (Rejected(frozenset({400, 421})),),
        (*_to(b"/probe"), *_unchanged(b"https://a.example/probe")),
    ),
)
