"""Conditions on what reached the upstream and on what the client got.

Each is a few words of data in the table; `miss` says what is wrong, or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from probes.observe import Observed


class Check(Protocol):
    """A condition on an observation."""

    def miss(self, seen: Observed) -> str | None:
        """What is wrong, or None."""


@dataclass(frozen=True)
class Target:
    """The upstream's request target is one of these."""

    allowed: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Compare the first request."""
        target = seen.probed[0].target
        return None if target in self.allowed else f"target {target!r}"


@dataclass(frozen=True)
class Targets:
    """The upstream saw exactly these targets, in this order."""

    expected: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Compare all requests of the probe."""
        targets = tuple(request.target for request in seen.probed)
        return None if targets == self.expected else f"targets {targets!r}"


@dataclass(frozen=True)
class Method:
    """The upstream's method."""

    expected: bytes

    def miss(self, seen: Observed) -> str | None:
        """Compare the first request."""
        method = seen.probed[0].method
        return None if method == self.expected else f"method {method!r}"


@dataclass(frozen=True)
class Host:
    """The upstream's Host, whatever its letter case."""

    allowed: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Compare the first request."""
        hosts = [value.lower() for value in seen.probed[0].values(b"host")]
        return None if len(hosts) == 1 and hosts[0] in self.allowed else f"Host {hosts!r}"


@dataclass(frozen=True)
class Sent:
    """The body that the upstream read, for each request."""

    bodies: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Compare all requests of the probe."""
        bodies = tuple(request.body for request in seen.probed)
        return None if bodies == self.bodies else f"bodies {bodies!r:.200}"


@dataclass(frozen=True)
class Field:
    """A request field has these values at the upstream, as lines or as one list."""

    name: bytes
    values: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Lines may be joined by a comma, the order may not change."""
        values = seen.probed[0].values(self.name)
        joined = b",".join(part.strip() for value in values for part in value.split(b","))
        return None if joined == b",".join(self.values) else f"{self.name!r} is {values!r:.200}"


@dataclass(frozen=True)
class Exact:
    """A request field arrives as this one line, byte for byte."""

    name: bytes
    value: bytes

    def miss(self, seen: Observed) -> str | None:
        """No splitting at commas."""
        values = seen.probed[0].values(self.name)
        return None if values == [self.value] else f"{self.name!r} is {values!r:.200}"


@dataclass(frozen=True)
class Gone:
    """These request fields do not reach the upstream, neither in the head nor as trailers."""

    names: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Look at every request of the probe."""
        for request in seen.probed:
            for name, value in [*request.fields, *request.trailers]:
                if name.lower() in self.names:
                    return f"{name!r}: {value!r} reached the upstream"
        return None


@dataclass(frozen=True)
class NoTrailer:
    """The upstream got none of these fields as trailers."""

    names: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Look at every request of the probe."""
        for request in seen.probed:
            for name, value in request.trailers:
                if name.lower() in self.names:
                    return f"trailer {name!r}: {value!r} reached the upstream"
        return None


@dataclass(frozen=True)
class Lacks:
    """The value of a request field does not contain this text (in any letter case)."""

    name: bytes
    text: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at the first request."""
        values = seen.probed[0].values(self.name)
        bad = [value for value in values if self.text in value.lower()]
        return f"{self.name!r} is {bad!r}" if bad else None


@dataclass(frozen=True)
class Present:
    """The upstream got this field, whatever its value, with the text in it."""

    name: bytes
    text: bytes = b""

    def miss(self, seen: Observed) -> str | None:
        """Look at the first request."""
        values = b", ".join(seen.probed[0].values(self.name))
        if seen.probed[0].values(self.name) and self.text in values:
            return None
        return f"{self.name!r} is {values!r}"


@dataclass(frozen=True)
class Unlikely:
    """Nothing in the upstream's head contains these bytes."""

    text: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at names and values of every request of the probe."""
        for request in seen.probed:
            for name, value in request.fields:
                if self.text in name or self.text in value:
                    return f"{name!r}: {value!r} reached the upstream"
        return None


@dataclass(frozen=True)
class Got:
    """The client's answer has this field with this value (one line)."""

    name: bytes
    value: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at the first answer."""
        values = seen.answers[0].values(self.name)
        return None if values == [self.value] else f"answer's {self.name!r} is {values!r}"


@dataclass(frozen=True)
class GotLines:
    """The client's answer has exactly these lines of a field."""

    name: bytes
    values: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Look at the first answer."""
        values = tuple(seen.answers[0].values(self.name))
        return None if values == self.values else f"answer's {self.name!r} is {values!r}"


@dataclass(frozen=True)
class Any:
    """The client's answer has this field."""

    name: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at the first answer."""
        return None if seen.answers[0].values(self.name) else f"answer without {self.name!r}"


@dataclass(frozen=True)
class NotGot:
    """None of these fields is in the client's answer or its trailers."""

    names: tuple[bytes, ...]

    def miss(self, seen: Observed) -> str | None:
        """Look at the first answer."""
        answer = seen.answers[0]
        for name, value in [*answer.fields, *answer.trailers]:
            if name.lower() in self.names:
                return f"{name!r}: {value!r} reached the client"
        return None


@dataclass(frozen=True)
class GotBody:
    """The body of the client's first answer."""

    body: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at the first answer."""
        body = seen.answers[0].body
        return None if body == self.body else f"answer's body {body[:80]!r}"


@dataclass(frozen=True)
class Interim:
    """The 1xx answers before the client's first answer are one of these."""

    allowed: tuple[tuple[int, ...], ...]

    def miss(self, seen: Observed) -> str | None:
        """Compare the codes."""
        codes = tuple(answer.status for answer in seen.answers[0].interim)
        return None if codes in self.allowed else f"interim answers {codes}"


@dataclass(frozen=True)
class Closes:
    """The proxy closed after the probe's answers; the follow-up was not served."""

    def miss(self, seen: Observed) -> str | None:
        """The follow-up must not have reached the upstream."""
        if len(seen.requests) > len(seen.probed):
            return "the follow-up was served"
        return None if seen.closed else "connection left open"


@dataclass(frozen=True)
class Stays:
    """The connection was good for the follow-up."""

    def miss(self, seen: Observed) -> str | None:
        """The follow-up must have reached the upstream."""
        return None if len(seen.requests) > len(seen.probed) else "the follow-up was not served"


@dataclass(frozen=True)
class Tunnel:
    """After a 101 the client got these bytes."""

    text: bytes

    def miss(self, seen: Observed) -> str | None:
        """Look at what came after the 101."""
        tunnel = seen.answers[0].tunnel
        return None if tunnel == self.text else f"tunnel carried {tunnel[:80]!r}"
