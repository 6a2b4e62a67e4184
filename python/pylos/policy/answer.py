"""A verdict on its way to the gateway: a kind, and JSON for what the kind does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import IntEnum

from pylos.policy.verdict import Allow, Answer, Deny, Edit, Review, Verdict, check_key
from pylos.quantities import DURATION


class Kind(IntEnum):
    """What a policy came to."""

    PASS = 0
    """It lets the request pass as it is; nothing follows."""
    ALLOW = 1
    DENY = 2
    ANSWER = 3
    EDIT = 5
    FAILED = 4
    """It raised, or gave what is no verdict; why is told in the log."""


def reviewed(said: Review | object) -> tuple[Kind, bytes]:
    """Write what was said about an answer. Raises TypeError for what cannot be said about one."""
    match said:
        case None:
            return Kind.PASS, b""
        case Edit(status, headers):
            return Kind.EDIT, written(**({} if status is None else {"status": status}), **edits(headers))
        case Deny(remember=None):
            return denied(said)
        case Deny():
            raise TypeError("what a policy says about an answer is not remembered")
        case _:
            what = type(said).__name__
            raise TypeError(f"a policy that is asked about answers gives Edit, Deny or None, not {what}")


def keyed(said: object) -> tuple[Kind, bytes]:
    """Write a key: what gives keys refuses nothing and answers nothing. Raises TypeError and ValueError for no key."""
    match said:
        case None:
            return Kind.PASS, b""
        case str():
            check_key(said)
            return Kind.ALLOW, written(key=said)
        case Allow() if said == Allow(key=said.key, remember=said.remember, by=said.by):
            return allowed(said)
        case Allow():
            raise ValueError("a policy of keys gives a key, and changes nothing else")
        case _:
            raise TypeError(f"a policy of keys gives a text, Allow or None, not {type(said).__name__}")


def encoded(verdict: Verdict | object) -> tuple[Kind, bytes]:
    """Write a verdict about a request. Raises TypeError for what is none."""
    match verdict:
        case None:
            return Kind.PASS, b""
        case Allow():
            return allowed(verdict)
        case Deny():
            return denied(verdict)
        case Answer(status, body, content_type, headers):
            default = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
            head = written(status=status, content_type=content_type or default, headers=lines(headers))
            raw = body.encode() if isinstance(body, str) else body
            return Kind.ANSWER, len(head).to_bytes(4, "little") + head + raw
        case _:
            what = type(verdict).__name__
            raise TypeError(f"a policy gives Allow, Deny, Answer or None, not {what}")


def allowed(verdict: Allow) -> tuple[Kind, bytes]:
    """Write an Allow; one without changes is a pass."""
    if verdict == Allow():
        return Kind.PASS, b""
    changes = {
        **edits(verdict.headers),
        "path": verdict.path,
        "query": verdict.query,
        "upstream": verdict.upstream,
        "client": verdict.client,
        "plan": verdict.plan,
        "claims": dict(verdict.claims),
        "key": verdict.key,
        **memory(verdict),
    }
    return Kind.ALLOW, written(**{name: value for name, value in changes.items() if value not in (None, [], {})})


def edits(headers: Mapping[str, str | Sequence[str] | None]) -> dict[str, object]:
    """Give the lines to set, and the names to remove."""
    return {
        "set": lines({name: value for name, value in headers.items() if value is not None}),
        "remove": [name for name, value in headers.items() if not value and value != ""],
    }


def denied(verdict: Deny) -> tuple[Kind, bytes]:
    """Write a Deny."""
    said = {"status": verdict.status, "code": verdict.code, "detail": verdict.detail, "headers": lines(verdict.headers)}
    return Kind.DENY, written(**said, **memory(verdict))


def memory(verdict: Allow | Deny) -> dict[str, object]:
    """Write for how long a verdict holds, and for which requests."""
    if verdict.remember is None:
        return {}
    return {"remember_ms": DURATION.parse(verdict.remember), "by": list(verdict.by)}


def lines(headers: Mapping[str, str | Sequence[str] | None]) -> list[tuple[str, str]]:
    """Give one pair for each line."""
    found: list[tuple[str, str]] = []
    for name, value in headers.items():
        found += [(name, one) for one in ([value] if isinstance(value, str) else value or ())]
    return found


def written(**values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()
