"""What a probe is: bytes for a proxy, and the set of outcomes that are right.

A probe is data only. It names the section it comes from, the steps the client takes, what the
upstream behind the proxy answers, and two sets of outcomes: `right` (counted as pass) and
`tolerated` (allowed by the RFC but laxer than a strict gateway should be; counted as warn).
Anything else is a fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from probes.observe import Observed

HOST = b"a.example"
#: Follows each probe on the same connection: whoever lost count of the framing answers it wrongly.
NEXT = b"GET /next HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
NEXT_BODY = b"next"
BODY = b"answer"


@dataclass(frozen=True)
class Await:
    """The client sends nothing more until these bytes have arrived."""

    text: bytes


@dataclass(frozen=True)
class Fin:
    """The client shuts its sending side."""


Step = bytes | Await | Fin


@dataclass(frozen=True)
class Reply:
    """What the scripted upstream does with a request whose target is not /next."""

    #: sent as soon as the request's head has been read
    early: bytes = b""
    #: ask for the body with 100 (Continue) when the request expects that
    invites: bool = False
    #: sent once the whole request has been read
    late: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer"
    #: close the connection after `late`
    close: bool = False
    #: from then on send back whatever arrives
    echo: bool = False


class Outcome(Protocol):
    """One acceptable way for things to end."""

    def misses(self, seen: Observed) -> list[str]:
        """Why this is not what happened; empty when it is."""


@dataclass(frozen=True)
class Probe:
    """One row of the table."""

    name: str
    section: str
    about: str
    send: bytes | tuple[Step, ...]
    right: tuple[Outcome, ...]
    tolerated: tuple[Outcome, ...] = ()
    reply: Reply = field(default_factory=Reply)
    #: the first request is HEAD, so its answer has no body
    head: bool = False
    #: client and upstream write one byte at a time
    trickle: bool = False
    #: bytes that follow on the same connection
    follow: bytes = NEXT

    @property
    def steps(self) -> tuple[Step, ...]:
        """The client's steps, with the follow-up request joined to the last bytes."""
        steps = self.send if isinstance(self.send, tuple) else (self.send,)
        if not self.follow:
            return steps
        last = steps[-1]
        if isinstance(last, bytes):
            return (*steps[:-1], last + self.follow)
        return (*steps, self.follow) if not isinstance(last, Fin) else steps

    @property
    def size(self) -> int:
        """How many bytes the client sends."""
        return sum(len(step) for step in self.steps if isinstance(step, bytes))
