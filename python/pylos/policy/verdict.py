"""What a policy says about a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from pylos._core import check_by
from pylos.model.fields import FIELD_NAME, FIELD_VALUE, OF_ANSWERS, OWN
from pylos.quantities import DURATION


@dataclass(frozen=True, slots=True)
class Allow:
    """Lets the request pass, changed as it says. None, the commonest verdict, is an Allow without changes.

    Raises ValueError for what no request can have.
    """

    headers: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)
    """Fields to set in place of those of that name; a sequence sets one line for each value. None, and a sequence
    without values, removes the field."""
    path: str | None = None
    """The path that the upstream sees, beginning with `/`, without a query."""
    query: str | None = None
    """The query that it sees, without `?`; "" removes it."""
    upstream: str | None = None
    """The name of the upstream that is asked."""
    client: str | None = None
    """Who the client is, `client.id` from then on: "consumer:acme"."""
    plan: str | None = None
    """The client's plan."""
    claims: Mapping[str, object] = field(default_factory=dict)
    """Claims to add to those of the client."""
    key: str | None = None
    """What a limit counts the request by whose key names this policy; 1 to 256 bytes in UTF-8."""
    remember: str | None = None
    """For how long the decision holds for requests that are alike, a duration: "60s"."""
    by: Sequence[str] = ()
    """What makes requests alike: "client.id", "request.path", "request.headers.x-tenant", "client.claims.org"."""

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            check_field(name, value)
        if self.path is not None and not PATH.fullmatch(self.path):
            raise ValueError(f"{self.path!r} is no path: it begins with / and has no blanks, controls, ? or #")
        if self.query is not None and not QUERY.fullmatch(self.query):
            raise ValueError(f"{self.query!r} is no query: it has blanks, controls or #")
        for one in (self.client, self.plan):
            if one is not None and not NAME.fullmatch(one):
                raise ValueError(f"{one!r} names nobody: it is empty or has control characters")
        if self.key is not None:
            check_key(self.key)
        check_memory(self.remember, self.by)


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuses the request with a problem document (RFC 9457). Raises ValueError for what no answer can have."""

    status: int = 403
    """400 to 599."""
    code: str = "denied"
    """The fixed code for `pylos-reason` and the log: lower case, digits and `_`."""
    detail: str | None = None
    """What the client is told."""
    headers: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Fields of the answer."""
    remember: str | None = None
    """As of Allow."""
    by: Sequence[str] = ()
    """As of Allow."""

    def __post_init__(self) -> None:
        check_memory(self.remember, self.by)
        if not HTTPStatus.BAD_REQUEST <= self.status <= LAST_STATUS:
            raise ValueError(f"a refusal has a status of 400 to 599, not {self.status}")
        if not CODE.fullmatch(self.code):
            raise ValueError(f"{self.code!r} is no code: lower case, digits and _, at most 64 of them")
        for name, value in self.headers.items():
            check_field(name, value, OF_ANSWERS)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers the request itself. Raises ValueError for what no answer can have."""

    status: int = 200
    """200 to 599."""
    body: bytes | str = b""
    """A text is sent as UTF-8."""
    content_type: str | None = None
    """By default `text/plain; charset=utf-8` for a text, `application/octet-stream` for bytes."""
    headers: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Fields of the answer."""

    def __post_init__(self) -> None:
        if not HTTPStatus.OK <= self.status <= LAST_STATUS:
            raise ValueError(f"an answer has a status of 200 to 599, not {self.status}")
        if self.body and self.status in BODYLESS:
            raise ValueError(f"an answer {self.status} has no body")
        if self.content_type is not None:
            check_field("content-type", self.content_type)
        for name, value in self.headers.items():
            check_field(name, value, OF_ANSWERS)


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes an answer. Raises ValueError for what no answer can have."""

    status: int | None = None
    """200 to 599, but none of those that have no body (204, 205, 304)."""
    headers: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)
    """As of Allow."""

    def __post_init__(self) -> None:
        if self.status is not None and not HTTPStatus.OK <= self.status <= LAST_STATUS:
            raise ValueError(f"an answer has a status of 200 to 599, not {self.status}")
        if self.status in BODYLESS:
            raise ValueError(f"an answer {self.status} has no body, and this one may have one")
        for name, value in self.headers.items():
            check_field(name, value, OF_ANSWERS - {"content-type"})


Verdict = Allow | Deny | Answer | None
"""What a policy says about a request."""
Review = Edit | Deny | None
"""What a policy says about an answer."""

LAST_STATUS = 599
BODYLESS = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED}
CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/{}|^\[\]`]*")
QUERY = re.compile(r"[!$-~]*")


def check_memory(remember: str | None, by: Sequence[str]) -> None:
    """Raise ValueError for a decision that cannot be remembered so."""
    if isinstance(by, str):
        raise ValueError(f'`by` is a list: by=["{by}"]')  # noqa: TRY004 - as all else that is wrong with a verdict
    if by:
        check_by(list(by))
    if remember is not None:
        DURATION.parse(remember)
    if bool(by) != (remember is not None):
        raise ValueError("`remember` and `by` belong together: for how long, and for which requests")


LONGEST_KEY = 256
"""Bytes of a key, in UTF-8."""


def check_key(key: str) -> None:
    """Raise ValueError for what is no key."""
    length = len(key.encode("utf-8", "surrogatepass"))
    if not 1 <= length <= LONGEST_KEY:
        raise ValueError(f"a key of {length} bytes: it has 1 to {LONGEST_KEY}; None is no key")
    if SURROGATE.search(key):
        raise ValueError("a key with bytes that are no UTF-8")


SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What stands in a text for a byte that is no UTF-8 (PEP 383)."""
NAME = re.compile(r"[^\x00-\x1f\x7f]+")


def check_field(name: str, value: str | Sequence[str] | None, own: frozenset[str] = OWN) -> None:
    """Raise ValueError for a field that cannot be sent (RFC 9110 5)."""
    if not FIELD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a field")
    if name.lower() in own:
        raise ValueError(f"{name!r} is written by the gateway")
    for one in () if value is None else [value] if isinstance(value, str) else value:
        if not FIELD_VALUE.fullmatch(one) or one != one.strip(" \t"):
            raise ValueError(f"the value of {name!r} has control characters, or blanks at its ends")
        if SURROGATE.search(one):
            raise ValueError(f"the value of {name!r} has bytes that are no UTF-8")
