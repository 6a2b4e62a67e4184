"""Field lines: names, colons, values, line ends, folds, and what is forwarded of them (RFC 9112, 5; RFC 9110, 5)."""

from __future__ import annotations

from probes.check import Exact, Field, Gone, Unlikely
from probes.outcome import Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import GET, HOST, get, head, post

REJECTED = (Rejected(),)
FORWARDED = (Forwarded(),)
JOINED = (Forwarded((Unlikely(b"\n"), Unlikely(b"\r"))),)


def _bad(name: str, line: bytes, about: str, *, section: str = "RFC 9112 5", lenient: bool = False) -> Probe:
    return Probe(name, section, about, get(b"X-First: 1", line, b"X-Last: 1"), REJECTED, FORWARDED if lenient else ())


def _raw(name: str, data: bytes, about: str, *, lenient: bool = False, trickle: bool = False) -> Probe:
    return Probe(name, "RFC 9112 2.2", about, data, REJECTED, FORWARDED if lenient else (), trickle=trickle)


def _kept(name: str, line: bytes, about: str, field: bytes, value: bytes) -> Probe:
    return Probe(name, "RFC 9110 5.5", about, get(line), (Forwarded((Exact(field, value),)),))


PROBES = (
    _bad("blank-before-colon", b"X-A : 1", "a blank before the colon", section="RFC 9112 5.1"),
    _bad("tab-before-colon", b"X-A\t: 1", "a tab before the colon", section="RFC 9112 5.1"),
    _bad("name-empty", b": 1", "a field without a name"),
    _bad("no-colon", b"X-A 1", "a line without a colon"),
    _bad("name-inner-blank", b"X A: 1", "a blank inside the name"),
    _bad("name-parenthesis", b"X(A): 1", "a delimiter in the name"),
    _bad("name-quote", b'X"A: 1', "a quote in the name"),
    _bad("name-slash", b"X/A: 1", "a slash in the name"),
    _bad("name-nul", b"X\x00A: 1", "a NUL in the name"),
    _bad("name-control", b"X\x02A: 1", "a control byte in the name"),
    _bad("name-high-byte", b"X\xe4A: 1", "a byte above 0x7f in the name"),
    _bad("name-vertical-tab", b"\x0bX-A: 1", "a vertical tab before the name"),
    _bad("value-nul", b"X-A: a\x00b", "a NUL in the value", section="RFC 9110 5.5"),
    _bad("value-bare-cr", b"X-A: a\rb", "a lone CR in the value", section="RFC 9110 5.5"),
    _bad("value-bare-lf", b"X-A: a\nX-B: b", "a lone LF in the value: one field or two?", section="RFC 9110 5.5"),
    _bad("value-cr-smuggle", b"X-A: a\rTransfer-Encoding: chunked", "a framing field behind a lone CR"),
    _bad("value-control", b"X-A: a\x01b", "a control byte in the value", section="RFC 9110 5.5", lenient=True),
    _bad("value-escape", b"X-A: a\x1b[31mb", "an ESC in the value", section="RFC 9110 5.5", lenient=True),
    _bad("value-delete", b"X-A: a\x7fb", "a DEL in the value", section="RFC 9110 5.5", lenient=True),
    _kept("value-high-bytes", b"X-A: \xe4\xff", "bytes above 0x7f are legal in a value", b"x-a", b"\xe4\xff"),
    _kept("value-inner-tab", b"X-A: a\tb", "so is a tab", b"x-a", b"a\tb"),
    _kept("value-blanks", b"X-A: \t a  b \t ", "blanks around the value go, those inside stay", b"x-a", b"a  b"),
    _kept("value-colons", b"X-A: a:b::c", "colons in the value", b"x-a", b"a:b::c"),
    _kept("value-quoted", b'X-A: "a, \\"b"', "quotes are not touched", b"x-a", b'"a, \\"b"'),
    _kept("value-empty", b"X-A:", "an empty value is legal", b"x-a", b""),
    _kept("value-only-blanks", b"X-A:  \t ", "blanks alone are an empty value", b"x-a", b""),
    Probe(
        "name-all-tchar",
        "RFC 9110 5.1",
        "every token character is legal in a name",
        get(b"X!#$%&'*+-.^`|~9: 1"),
        (Forwarded((Exact(b"x!#$%&'*+-.^`|~9", b"1"),)),),
        (Forwarded((Gone((b"x!#$%&'*+-.^`|~9",)),)),),
    ),
    Probe(
        "name-underscore",
        "RFC 9110 5.1",
        "an underscore that resembles nothing passes",
        get(b"access_key: 1"),
        (Forwarded((Exact(b"access_key", b"1"),)),),
        (Forwarded((Gone((b"access_key",)),)),),
    ),
    Probe(
        "twin-forwarded-for",
        "RFC 3875 4.1.18",
        "X_Forwarded_For reads like the protected field in CGI",
        get(b"X_Forwarded_For: 6.6.6.6"),
        (Forwarded((Gone((b"x_forwarded_for",)),)), Rejected()),
        FORWARDED,
    ),
    Probe(
        "twin-content-length",
        "RFC 3875 4.1.2",
        "Content_Length reads like the framing field in CGI",
        post(b"Content_Length: 99", b"Content-Length: 2", body=b"ab"),
        (Forwarded((Gone((b"content_length",)),)), Rejected()),
        FORWARDED,
    ),
    Probe(
        "twin-transfer-encoding",
        "RFC 3875 4.1.18",
        "Transfer_Encoding reads like the framing field in CGI",
        post(b"Transfer_Encoding: chunked", b"Content-Length: 2", body=b"ab"),
        (Forwarded((Gone((b"transfer_encoding",)),)), Rejected()),
        FORWARDED,
    ),
    Probe(
        "lines-in-order",
        "RFC 9110 5.3",
        "lines of one name keep their order",
        get(b"X-A: 1", b"X-B: x", b"x-a: 2", b"X-A: 3"),
        (Forwarded((Field(b"x-a", (b"1", b"2", b"3")),)),),
    ),
    Probe("fold-blank", "RFC 9112 5.2", "a line folded by a blank", get(b"X-A: 1", b" 2"), REJECTED, JOINED),
    Probe("fold-tab", "RFC 9112 5.2", "a line folded by a tab", get(b"X-A: 1", b"\t2"), REJECTED, JOINED),
    Probe("fold-empty", "RFC 9112 5.2", "a fold with nothing in it", get(b"X-A: 1", b" "), REJECTED, JOINED),
    Probe(
        "fold-looks-like-field",
        "RFC 9112 5.2",
        "a fold that resembles a framing field",
        get(b"X-A: 1", b" Transfer-Encoding: chunked"),
        REJECTED,
        JOINED,
    ),
    Probe(
        "fold-first",
        "RFC 9112 2.2",
        "the first field line begins with a blank",
        head(GET, b" X-A: 1", HOST),
        REJECTED,
        (Forwarded((Unlikely(b"\n"), Gone((b"x-a",)))),),
    ),
    Probe(
        "fold-first-host",
        "RFC 9112 2.2",
        "Host hides behind a blank on the first line",
        head(GET, b" Host: b.example", HOST),
        REJECTED,
        FORWARDED,
    ),
    _raw("all-bare-lf", b"GET /probe HTTP/1.1\nHost: a.example\n\n", "every line ends with a lone LF", lenient=True),
    _raw("one-bare-lf", GET + b"\r\n" + HOST + b"\nX-A: 1\r\n\r\n", "one line ends with a lone LF", lenient=True),
    _raw("blank-line-bare-lf", GET + b"\r\n" + HOST + b"\r\n\n", "the blank line is a lone LF", lenient=True),
    _raw(
        "blank-line-bare-lf-trickled",
        GET + b"\r\n" + HOST + b"\r\n\n",
        "the same, a byte at a time",
        lenient=True,
        trickle=True,
    ),
    _raw("bare-cr-ends-field", GET + b"\r\n" + HOST + b"\rX-A: 1\r\n\r\n", "a line ends with a lone CR"),
    _raw("lf-cr", GET + b"\r\n" + HOST + b"\n\rX-A: 1\r\n\r\n", "LF and CR in the wrong order"),
    _raw("cr-cr-lf", GET + b"\r\n" + HOST + b"\r\r\nX-A: 1\r\n\r\n", "two CRs before the LF"),
    _raw("cr-cr-lf-end", GET + b"\r\n" + HOST + b"\r\n\r\r\n", "a blank line with two CRs"),
)
