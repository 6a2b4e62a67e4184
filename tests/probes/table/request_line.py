"""The request line: method, blanks, version (RFC 9112, 2.2, 2.3 and 3)."""

from __future__ import annotations

from probes.check import Interim, Method, Target
from probes.outcome import Answered, Forwarded, Rejected, SpeaksHttp2
from probes.probe import Probe
from probes.table.spell import HOST, get, head

REJECTED = (Rejected(),)
VERSION = (Rejected(frozenset({400, 505})),)
FORWARDED = (Forwarded(),)
UNKNOWN = (Rejected(frozenset({400, 405, 501})), Answered(frozenset({400, 405, 501})))


def _method(name: str, method: bytes, about: str) -> Probe:
    line = method + b" /probe HTTP/1.1"
    return Probe(name, "RFC 9110 9.1", about, get(line=line), (Forwarded((Method(method),)),), UNKNOWN)


def _line(name: str, line: bytes, about: str, *, lenient: bool = False) -> Probe:
    tolerated = FORWARDED if lenient else ()
    return Probe(name, "RFC 9112 3", about, get(line=line), REJECTED, tolerated)


def _version(name: str, version: bytes, about: str) -> Probe:
    return Probe(name, "RFC 9112 2.3", about, get(line=b"GET /probe " + version), VERSION)


PROBES = (
    Probe("plain-get", "RFC 9112 3", "a plain GET goes through", get(), FORWARDED),
    Probe("plain-get-trickled", "RFC 9112 2.1", "the same, a byte at a time", get(), FORWARDED, trickle=True),
    _method("method-lower-case", b"get", "methods are case-sensitive: `get` is not `GET`"),
    _method("method-unknown", b"REPORTALL", "an unknown method passes unchanged"),
    _method("method-all-tchar", b"!#$%&'*+-.^_`|~09AZaz", "every token character is legal in a method"),
    _line("method-parenthesis", b"GE(T /probe HTTP/1.1", "a delimiter in the method"),
    _line("method-nul", b"GET\x00 /probe HTTP/1.1", "a NUL in the method"),
    _line("method-high-byte", b"G\xc3\x8bT /probe HTTP/1.1", "a byte above 0x7f in the method"),
    _line("method-missing", b" /probe HTTP/1.1", "a line that begins with the blank before the target"),
    _line("two-blanks", b"GET  /probe HTTP/1.1", "two blanks between method and target", lenient=True),
    _line("two-blanks-before-version", b"GET /probe  HTTP/1.1", "two blanks before the version", lenient=True),
    _line("tab-for-blank", b"GET\t/probe HTTP/1.1", "a tab between method and target", lenient=True),
    _line("tab-before-version", b"GET /probe\tHTTP/1.1", "a tab before the version", lenient=True),
    _line("blank-at-line-start", b" GET /probe HTTP/1.1", "a blank before the method", lenient=True),
    _line("blank-at-line-end", b"GET /probe HTTP/1.1 ", "a blank after the version", lenient=True),
    _line("vertical-tab-for-blank", b"GET\x0b/probe HTTP/1.1", "a vertical tab as separator", lenient=True),
    _line("no-target", b"GET HTTP/1.1", "a line without a target"),
    _line("blank-in-target", b"GET /pro be HTTP/1.1", "a raw blank inside the target"),
    _line("fourth-word", b"GET /probe HTTP/1.1 x", "a word after the version"),
    _version("no-version", b"", "a line that ends in a blank where the version should be"),
    _version("version-lower-case", b"http/1.1", "the protocol's name is case-sensitive"),
    _version("version-no-minor", b"HTTP/1.", "no minor digit"),
    _version("version-two-digit-minor", b"HTTP/1.10", "two minor digits"),
    _version("version-two-digit-major", b"HTTP/01.1", "two major digits"),
    _version("version-comma", b"HTTP/1,1", "a comma for the dot"),
    _version("version-inner-blank", b"HTTP /1.1", "a blank in the protocol's name"),
    _version("version-trailing-letter", b"HTTP/1.1x", "a letter behind the version"),
    _version("version-other-protocol", b"HTTPS/1.1", "another protocol's name"),
    _version("version-0-9", b"HTTP/0.9", "HTTP/0.9 has no version in its line"),
    _version("version-2-0", b"HTTP/2.0", "HTTP/2 is never spoken in this form"),
    _version("version-9-9", b"HTTP/9.9", "a major version that does not exist"),
    Probe(
        "version-1-2",
        "RFC 9110 2.5",
        "a higher minor version is served as the highest one known",
        get(line=b"GET /probe HTTP/1.2"),
        FORWARDED,
        VERSION,
    ),
    Probe(
        "http-0-9",
        "RFC 9112 2.3",
        "a bare `GET /probe` of HTTP/0.9",
        b"GET /probe\r\n",
        (Rejected(frozenset({400, 505}), silent=True),),
    ),
    Probe(
        "http-2-preface",
        "RFC 9112 2.3",
        "the preface of HTTP/2 on a port that speaks HTTP/1.1",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (Rejected(frozenset({400, 405, 501, 505}), silent=True), SpeaksHttp2()),
    ),
    Probe(
        "tls-hello",
        "RFC 9112 3",
        "a TLS client hello on a clear port",
        b"\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03" + bytes(range(32)) + b"\x00\x00\x02\x13\x01\x01\x00\r\n",
        (Rejected(silent=True),),
    ),
    Probe(
        "empty-line-first",
        "RFC 9112 2.2",
        "one empty line before the request line is skipped",
        b"\r\n" + get(),
        FORWARDED,
    ),
    Probe(
        "empty-line-first-trickled",
        "RFC 9112 2.2",
        "the same, a byte at a time",
        b"\r\n" + get(),
        FORWARDED,
        trickle=True,
    ),
    Probe(
        "bare-lf-first",
        "RFC 9112 2.2",
        "a lone LF before the request line",
        b"\n" + get(),
        REJECTED,
        FORWARDED,
    ),
    Probe(
        "bare-lf-ends-line",
        "RFC 9112 2.2",
        "a lone LF ends the request line",
        b"GET /probe HTTP/1.1\n" + head(HOST),
        REJECTED,
        FORWARDED,
    ),
    Probe(
        "bare-cr-ends-line",
        "RFC 9112 2.2",
        "a lone CR ends the request line",
        b"GET /probe HTTP/1.1\r" + head(HOST),
        REJECTED,
    ),
    Probe(
        "bare-cr-in-target",
        "RFC 9112 2.2",
        "a lone CR inside the target",
        get(line=b"GET /pro\rbe HTTP/1.1"),
        REJECTED,
    ),
    Probe(
        "connect",
        "RFC 9110 9.3.6",
        "CONNECT to a gateway that is no tunnel for it",
        head(b"CONNECT b.example:443 HTTP/1.1", b"Host: b.example:443"),
        (Rejected(frozenset({400, 405, 501})), Answered(frozenset({400, 403, 404, 405, 501}))),
        FORWARDED,
    ),
    Probe(
        "max-forwards-zero",
        "RFC 9110 7.6.2",
        "OPTIONS with Max-Forwards: 0 is not forwarded",
        get(b"Max-Forwards: 0", line=b"OPTIONS /probe HTTP/1.1"),
        (Answered(frozenset({200, 204})),),
    ),
    Probe(
        "trace-max-forwards-zero",
        "RFC 9110 7.6.2",
        "TRACE with Max-Forwards: 0 is not forwarded",
        get(b"Max-Forwards: 0", line=b"TRACE /probe HTTP/1.1"),
        (Answered(frozenset({200, 405, 501})),),
    ),
    Probe(
        "http-1-0",
        "RFC 9112 9.3",
        "an HTTP/1.0 request goes through and its connection closes",
        get(line=b"GET /probe HTTP/1.0"),
        (Forwarded((Target((b"/probe",)), Interim(((),)))),),
    ),
)
