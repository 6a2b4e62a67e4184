"""Origin-form and asterisk-form targets: which bytes, which escapes (RFC 9112, 3.2; RFC 3986, 2 and 3)."""

from __future__ import annotations

from probes.check import Target
from probes.outcome import Answered, Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import get

REJECTED = (Rejected(),)
QUERY = b"/probe?b=2&a=1&b=3&flag&sig=%E9%FF&s=1;2&q=a%20b+c&e=&u=http://x//y?z"


def _bad(name: str, target: bytes, about: str, *lenient: bytes) -> Probe:
    """Rejected; a proxy that passes the target on unchanged (or as `lenient`) is tolerated when `lenient` is given."""
    line = b"GET " + target + b" HTTP/1.1"
    tolerated = (Forwarded((Target(lenient),)),) if lenient else ()
    return Probe(name, "RFC 9112 3.2", about, get(line=line), REJECTED, tolerated)


def _kept(name: str, target: bytes, about: str) -> Probe:
    line = b"GET " + target + b" HTTP/1.1"
    return Probe(name, "RFC 3986 2.1", about, get(line=line), (Forwarded((Target((target,)),)),))


PROBES = (
    _kept("query-as-sent", QUERY, "the query arrives byte for byte"),
    _kept("query-empty", b"/probe?", "a bare question mark stays"),
    _kept("query-two-marks", b"/probe??a", "a second question mark is data"),
    _kept("query-dots", b"/probe?../../x", "dots in a query are no path segments"),
    _kept("query-escapes", b"/probe?%41%2e%7e%2f", "escapes in a query are not decoded"),
    _kept("path-sub-delims", b"/probe/!$&'()*+,;=:@", "sub-delims, colon and at-sign are legal in a path"),
    _kept("path-escaped-slash", b"/probe/a%2Fb", "an escaped slash is data, not a separator"),
    _kept("path-escape-case", b"/probe/%c3%a4%C3%A4", "letter case of an escape stays"),
    _kept("path-escaped-escape", b"/probe/%2541", "an escape is decoded at most once"),
    _kept("path-escaped-query-mark", b"/probe/a%3Fb", "an escaped question mark starts no query"),
    _kept("path-double-slash", b"/probe//x", "empty segments stay"),
    _kept("path-trailing-slash", b"/probe/", "a trailing slash stays"),
    _bad("path-nul", b"/pro\x00be", "a NUL in the path"),
    _bad("path-control", b"/pro\x01be", "a control byte in the path"),
    _bad("path-delete", b"/pro\x7fbe", "a DEL in the path"),
    _bad("path-high-byte", b"/pro\xc3\xa4be", "a raw byte above 0x7f", b"/pro\xc3\xa4be", b"/pro%C3%A4be"),
    _bad("path-quote", b'/pro"be', "a double quote", b'/pro"be', b"/pro%22be"),
    _bad("path-angle", b"/pro<be>", "angle brackets", b"/pro<be>", b"/pro%3Cbe%3E"),
    _bad("path-backslash", b"/pro\\be", "a backslash", b"/pro\\be", b"/pro%5Cbe"),
    _bad("path-fragment", b"/probe#top", "a fragment is never sent", b"/probe", b"/probe#top", b"/probe%23top"),
    _bad("path-bad-escape", b"/pro%zzbe", "an escape without two hexadecimal digits", b"/pro%zzbe", b"/pro%25zzbe"),
    _bad("path-cut-escape", b"/probe%4", "an escape cut short at the end", b"/probe%4", b"/probe%254"),
    _bad("path-escaped-nul", b"/pro%00be", "an escaped NUL", b"/pro%00be"),
    _bad("query-control", b"/probe?a=\x02", "a control byte in the query"),
    _bad("query-nul", b"/probe?a=\x00", "a NUL in the query"),
    _bad("query-fragment", b"/probe?a#b", "a fragment behind a query", b"/probe?a", b"/probe?a#b", b"/probe?a%23b"),
    _bad("no-slash", b"probe", "a target that does not start with a slash"),
    _bad("host-without-slash", b"a.example/probe", "a name and a path without scheme"),
    _bad("star-get", b"*", "an asterisk is for OPTIONS only"),
    _bad("question-mark-first", b"?probe", "a query without a path"),
    Probe(
        "star-options",
        "RFC 9112 3.2.4",
        "OPTIONS * stays an asterisk or is answered by the gateway",
        get(line=b"OPTIONS * HTTP/1.1"),
        (
            Forwarded((Target((b"*",)),)),
            Answered(frozenset({200, 204, 400, 404, 405, 501})),
            Rejected(frozenset({400, 404, 405, 501})),
        ),
    ),
    Probe(
        "double-slash-first",
        "RFC 9112 3.2.1",
        "two slashes at the start are a path, not an authority",
        get(line=b"GET //b.example/probe HTTP/1.1"),
        (Forwarded((Target((b"//b.example/probe",)),)),),
        (Rejected(),),
    ),
)
