"""Chunk lines, data and extensions (RFC 9112, 7.1)."""

from __future__ import annotations

from probes.check import Sent
from probes.outcome import BodyRefused, Forwarded
from probes.probe import Fin, Probe
from probes.table.spell import chunked

REFUSED = (BodyRefused(),)
HELLO = (Forwarded((Sent((b"hello",)),)),)
END = b"0\r\n\r\n"


def _bad(
    name: str, body: bytes, about: str, tolerated: tuple[Forwarded, ...] = (), *, section: str = "RFC 9112 7.1"
) -> Probe:
    return Probe(name, section, about, chunked(body), REFUSED, tolerated)


def _good(name: str, body: bytes, about: str, *, trickle: bool = False) -> Probe:
    return Probe(name, "RFC 9112 7.1", about, chunked(body), HELLO, trickle=trickle)


def _extension(name: str, extension: bytes, about: str, *, lenient: bool = False) -> Probe:
    body = b"5" + extension + b"\r\nhello\r\n" + END
    return _bad(name, body, about, HELLO if lenient else (), section="RFC 9112 7.1.1")


PROBES = (
    _good("chunk-one", b"5\r\nhello\r\n" + END, "one chunk"),
    _good("chunk-per-byte", b"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n" + END, "a chunk for each byte"),
    _good("chunk-zeros", b"0005\r\nhello\r\n" + END, "leading zeros in a size"),
    _good("chunk-last-zeros", b"5\r\nhello\r\n000\r\n\r\n", "a last chunk of several zeros"),
    _good("chunk-extension", b"5;a=b\r\nhello\r\n" + END, "an extension is read and dropped"),
    _good("chunk-extension-name", b"5;a\r\nhello\r\n" + END, "an extension without a value"),
    _good("chunk-extension-quoted", b'5;a="x;y"\r\nhello\r\n' + END, "a quoted value with a semicolon"),
    _good("chunk-extension-escape", b'5;a="x\\"y"\r\nhello\r\n' + END, "a quoted value with an escaped quote"),
    _good("chunk-extension-two", b"5;a=b;c=d\r\nhello\r\n" + END, "two extensions"),
    _good("chunk-extension-last", b"5\r\nhello\r\n0;a=b\r\n\r\n", "an extension on the last chunk"),
    _good("chunk-extension-trickled", b'5;a="x;y"\r\nhello\r\n' + END, "an extension byte by byte", trickle=True),
    Probe(
        "chunk-hex-lower",
        "RFC 9112 7.1",
        "hexadecimal in lower case",
        chunked(b"a\r\n0123456789\r\n" + END),
        (Forwarded((Sent((b"0123456789",)),)),),
    ),
    Probe(
        "chunk-hex-upper",
        "RFC 9112 7.1",
        "hexadecimal in upper case",
        chunked(b"A\r\n0123456789\r\n" + END),
        (Forwarded((Sent((b"0123456789",)),)),),
    ),
    Probe(
        "chunk-data-looks-like-end",
        "RFC 9112 7.1",
        "chunk data that spells the end of the body",
        chunked(b"5\r\n0\r\n\r\n\r\n" + END),
        (Forwarded((Sent((b"0\r\n\r\n",)),)),),
    ),
    _bad("chunk-size-lf", b"5\nhello\r\n" + END, "a lone LF ends the size", HELLO),
    Probe(
        "chunk-size-lf-trickled",
        "RFC 9112 7.1",
        "the same, a byte at a time",
        chunked(b"5\nhello\r\n" + END),
        REFUSED,
        HELLO,
        trickle=True,
    ),
    _bad("chunk-data-lf", b"5\r\nhello\n" + END, "a lone LF ends the data"),
    _bad("chunk-last-lf", b"5\r\nhello\r\n0\n\r\n", "a lone LF behind the last size", HELLO),
    _bad("chunk-end-lf", b"5\r\nhello\r\n0\r\n\n", "a lone LF as the last line", HELLO),
    _bad("chunk-size-cr", b"5\rhello\r\n" + END, "a lone CR ends the size"),
    _bad("chunk-size-cr-cr", b"5\r\r\nhello\r\n" + END, "two CRs behind the size"),
    _bad("chunk-size-empty", b"\r\nhello\r\n" + END, "no size at all"),
    _bad("chunk-size-letter", b"g\r\nhello\r\n" + END, "a letter that is no hexadecimal digit"),
    _bad("chunk-size-plus", b"+5\r\nhello\r\n" + END, "a plus sign"),
    _bad("chunk-size-minus", b"-5\r\nhello\r\n" + END, "a minus sign"),
    _bad("chunk-size-prefix", b"0x5\r\nhello\r\n" + END, "the prefix 0x"),
    _bad("chunk-size-underscore", b"0_5\r\nhello\r\n" + END, "an underscore between digits"),
    _bad("chunk-size-comma", b"5,\r\nhello\r\n" + END, "a comma"),
    _bad("chunk-size-decimal", b"5.0\r\nhello\r\n" + END, "a decimal point"),
    _bad("chunk-size-blank-before", b" 5\r\nhello\r\n" + END, "a blank before the size", HELLO),
    _bad("chunk-size-blank-after", b"5 \r\nhello\r\n" + END, "a blank behind the size", HELLO),
    _bad("chunk-size-tab-after", b"5\t\r\nhello\r\n" + END, "a tab behind the size", HELLO),
    _bad("chunk-size-nul", b"5\x00\r\nhello\r\n" + END, "a NUL behind the size"),
    _bad("chunk-size-high-digit", b"\xef\xbc\x95\r\nhello\r\n" + END, "a digit that is one in Unicode only"),
    _bad("chunk-size-64-bit-wrap", b"10000000000000005\r\nhello\r\n" + END, "2^64 + 5 wraps to 5"),
    _bad("chunk-size-all-f", b"FFFFFFFFFFFFFFFF\r\nhello\r\n" + END, "2^64 - 1 is minus one when signed"),
    _bad("chunk-size-long", b"0" * 2000 + b"5\r\nhello\r\n" + END, "two thousand zeros before the size", HELLO),
    _bad("chunk-data-short", b"6\r\nhello\r\n" + END, "one byte less than the size says"),
    _bad("chunk-data-long", b"4\r\nhello\r\n" + END, "one byte more than the size says"),
    _bad("chunk-data-no-end", b"5\r\nhello" + END, "no line end behind the data"),
    Probe(
        "chunk-extension-blank",
        "RFC 9112 7.1.1",
        "blanks around the semicolon are bad but readable",
        chunked(b"5 ; a=b\r\nhello\r\n" + END),
        (*HELLO, *REFUSED),
    ),
    _extension("chunk-extension-lf", b";a=\nb", "a lone LF in an extension"),
    _extension("chunk-extension-cr", b";a=\rb", "a lone CR in an extension"),
    _extension("chunk-extension-nul", b";a=\x00", "a NUL in an extension", lenient=True),
    _extension("chunk-extension-control", b";a=\x01", "a control byte in an extension", lenient=True),
    _extension("chunk-extension-bare", b";", "a semicolon with nothing behind it", lenient=True),
    _extension("chunk-extension-no-name", b";=b", "a value without a name", lenient=True),
    _extension("chunk-extension-no-value", b";a=", "an equals sign without a value", lenient=True),
    _extension("chunk-extension-open-quote", b';a="b', "a quote that is not closed", lenient=True),
    _extension("chunk-extension-quoted-lf", b';a="\n"', "a lone LF inside quotes"),
    Probe(
        "chunk-extension-endless",
        "RFC 9112 7.1.1",
        "an extension of 100 KB is no use to anybody",
        chunked(b"5;a=" + b"x" * 100_000 + b"\r\nhello\r\n" + END),
        (BodyRefused(frozenset({400, 413, 431})),),
        HELLO,
    ),
    Probe(
        "chunk-cut-in-data",
        "RFC 9112 8",
        "the client ends its side inside a chunk",
        (chunked(b"5\r\nhel"), Fin()),
        (BodyRefused(frozenset({400, 408, 499}), silent=True),),
    ),
    Probe(
        "chunk-cut-before-last",
        "RFC 9112 8",
        "the client ends its side before the last chunk",
        (chunked(b"5\r\nhello\r\n"), Fin()),
        (BodyRefused(frozenset({400, 408, 499}), silent=True),),
    ),
    Probe(
        "chunk-cut-before-end",
        "RFC 9112 8",
        "the client ends its side before the last CRLF",
        (chunked(b"5\r\nhello\r\n0\r\n"), Fin()),
        (BodyRefused(frozenset({400, 408, 499}), silent=True),),
    ),
)
