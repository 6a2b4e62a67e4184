"""HTTP/1.1 messages as a test looks at them, and how reading one can fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

Fields = list[tuple[str, str]]
"""Header fields in the order and spelling of the wire, decoded as Latin-1 so that no byte is lost."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Header fields as they are given to this package: a mapping, or pairs where a name comes twice."""


def fields_of(headers: Headers) -> Fields:
    """Give header fields as pairs."""
    return list(headers.items() if isinstance(headers, Mapping) else headers)


class ProtocolError(AssertionError):
    """The other side broke HTTP/1.1. An AssertionError: in a test this is a failed expectation."""


class IncompleteError(ProtocolError):
    """The connection ended inside a message. `partial` is what came of the body (or of the head) until then."""

    def __init__(self, message: str, partial: bytes) -> None:
        super().__init__(f"{message} (got {len(partial)} bytes: {partial[:200]!r})")
        self.partial = partial


@dataclass
class Message:
    """What requests and responses have in common."""

    version: str
    headers: Fields
    head: bytes
    """The head as it came, with the blank line."""
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    complete: bool = False
    """The body (and with it the message) has been read to its end."""

    def header(self, name: str) -> str | None:
        """Give the value of the only field of this name; None when there is none; an error when there are several."""
        values = self.header_all(name)
        if len(values) > 1:
            raise ProtocolError(f"expected one {name}, got {values}")
        return values[0] if values else None

    def header_all(self, name: str) -> list[str]:
        """Give the values of all fields of this name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:  # noqa: ANN401 - whatever the JSON says
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(repr=False)
class Request(Message):
    """A request as an upstream saw it."""

    method: str = ""
    target: str = ""
    connection: int = 0
    """Index of the upstream connection that it came over, in the order of accepting."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query, decoded, with all their values."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    def __repr__(self) -> str:
        return f"<{self.method} {self.target}{_shown(self.body)}>"


@dataclass(repr=False)
class Response(Message):
    """A response as a client saw it."""

    status: int = 0
    reason: str = ""
    interim: list[Response] = field(default_factory=list)
    """The 1xx responses that came before this one."""

    def __repr__(self) -> str:
        reasons = "".join(f", pylos-reason: {reason}" for reason in self.header_all("pylos-reason"))
        return f"<{self.status} {self.reason}{reasons}{_shown(self.body)}>"


SHOWN = 60
"""So many bytes of a body are shown where a test fails."""


def _shown(body: bytes) -> str:
    if not body:
        return ""
    return f", {body[:SHOWN]!r}" + (f"... ({len(body)} bytes)" if len(body) > SHOWN else "")
