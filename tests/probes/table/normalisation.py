"""One path for all: dot segments and escapes are settled before routing (RFC 3986, 5.2.4 and 6.2.2)."""

from __future__ import annotations

from probes.check import Target
from probes.outcome import Forwarded, Rejected
from probes.probe import Probe
from probes.table.spell import get

REJECTED = (Rejected(),)


def _becomes(name: str, target: bytes, normal: bytes, about: str) -> Probe:
    """Normal form upstream; passing the target unchanged or refusing it is tolerated."""
    right = (Forwarded((Target((normal,)),)),)
    tolerated = (Forwarded((Target((target,)),)), *REJECTED)
    return Probe(name, "RFC 3986 5.2.4", about, get(line=b"GET " + target + b" HTTP/1.1"), right, tolerated)


def _refused(name: str, target: bytes, about: str) -> Probe:
    """Refused, since upstreams differ in how they read it; passing it unchanged is tolerated."""
    tolerated = (Forwarded((Target((target,)),)),)
    return Probe(name, "RFC 3986 3.3", about, get(line=b"GET " + target + b" HTTP/1.1"), REJECTED, tolerated)


PROBES = (
    _becomes("dots-up", b"/a/../probe", b"/probe", "one segment up"),
    _becomes("dots-up-twice", b"/a/b/../../probe", b"/probe", "two segments up"),
    _becomes("dots-above-root", b"/../probe", b"/probe", "above the root is the root"),
    _becomes("dots-stay", b"/./probe", b"/probe", "a single dot"),
    _becomes("dots-inside", b"/a/./probe", b"/a/probe", "a single dot inside"),
    _becomes("dots-end", b"/probe/..", b"/", "two dots at the end"),
    _becomes("dots-end-single", b"/probe/.", b"/probe/", "one dot at the end"),
    _becomes("dots-escaped", b"/a/%2e%2e/probe", b"/probe", "escaped dots are dots"),
    _becomes("dots-escaped-upper", b"/a/.%2E/probe", b"/probe", "a dot and an escaped dot"),
    _becomes("dots-before-query", b"/a/../probe?x=/../y", b"/probe?x=/../y", "the query keeps its dots"),
    _becomes("unreserved-tilde", b"/probe/%7eu", b"/probe/~u", "an escape of an unreserved character is decoded"),
    _becomes("unreserved-letter", b"/%70robe", b"/probe", "an escaped letter is the letter"),
    Probe(
        "dots-three",
        "RFC 3986 3.3",
        "three dots are a name",
        get(line=b"GET /probe/.../x HTTP/1.1"),
        (Forwarded((Target((b"/probe/.../x",)),)),),
    ),
    Probe(
        "dots-in-name",
        "RFC 3986 3.3",
        "dots within a name are no dot segments",
        get(line=b"GET /probe/..a/b.. HTTP/1.1"),
        (Forwarded((Target((b"/probe/..a/b..",)),)),),
    ),
    _refused("dots-parameter", b"/a/..;/probe", "two dots with a parameter: `..` to a servlet, a name to others"),
    _refused("dots-parameter-escaped", b"/a/%2e%2e;x/probe", "the same with escapes"),
    _refused("dot-parameter", b"/a/.;/probe", "one dot with a parameter"),
    _refused("dots-escaped-slash", b"/a/..%2fprobe", "two dots before an escaped slash"),
    _refused("dots-between-escaped-slashes", b"/a%2f..%2fprobe", "two dots between escaped slashes"),
    _refused("dots-escaped-backslash", b"/a/..%5cprobe", "two dots before an escaped backslash"),
)
