"""What can go wrong on the way to a certificate.

AcmeError
|-- SettingsError      what is wanted cannot be had: told before anything is asked for
|-- StorageError       a file of the storage cannot be read or written
`-- AuthorityError     an authority did not do what was asked, or was not reached
    `-- ChallengeError it did not accept an answer to a challenge: another type of challenge may do
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylos.errors import PylosError, printable

LONGEST_TOLD = 1000
LONGEST_SHOWN = 300
MOST_TOLD = 5


class AcmeError(PylosError):
    """The base of them all."""


class SettingsError(AcmeError):
    """What is wanted cannot be had like this."""


class StorageError(AcmeError):
    """A file of the storage cannot be read or written; the text names it."""


def shown(text: str) -> str:
    """Write what an authority or a name server said: not to be obeyed by a terminal, nor without end."""
    return printable(text[:LONGEST_SHOWN])


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 7807), as an authority tells it (RFC 8555 section 6.7)."""

    type: str
    """`urn:ietf:params:acme:error:rateLimited`, or another URI."""
    detail: str = ""
    identifier: str | None = None
    """The domain that a subproblem is about (RFC 8555 section 6.7.1)."""
    subproblems: tuple[Problem, ...] = ()

    @property
    def code(self) -> str:
        """The last part of the type: `rateLimited`."""
        return self.type.rpartition(":")[2]

    def __str__(self) -> str:
        about = f"{self.identifier}: " if self.identifier else ""
        inner = "".join(f"; {problem}" for problem in self.subproblems[:MOST_TOLD])
        more = len(self.subproblems) - MOST_TOLD
        text = f"{about}{self.detail[:LONGEST_TOLD] or 'no detail'} ({self.type[:LONGEST_TOLD]})"
        # What comes from elsewhere is not to be obeyed by a terminal, nor to look like a line of ours.
        return printable(text) + inner + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of an error at an authority."""

    what: str
    """A sentence without the authority: "refused the order"."""
    authority: str
    """The URL of its directory."""
    name: str | None = None
    """The domain or certificate that it is about."""
    problem: Problem | None = None
    hint: str | None = None
    retry_after: float | None = None
    """Seconds from now that the authority wants to be left alone (RFC 8555 section 6.6)."""
    reached: bool = field(default=True)
    """False where the authority was not reached, or was not well: it says nothing about what was asked."""


class AuthorityError(AcmeError):
    """An authority did not do what was asked, or was not reached. `fault` has the facts."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        about = f"{fault.name}: " if fault.name else ""
        lines = [f"{about}{fault.authority} {fault.what}"]
        if fault.problem is not None:
            lines[0] += f": {fault.problem}"
        if fault.retry_after is not None:
            lines.append(f"      = it wants to be asked again in {fault.retry_after:.0f} s")
        if fault.hint is not None:
            lines.append(f"      = {fault.hint}")
        super().__init__("\n".join(lines))


class ChallengeError(AuthorityError):
    """It did not accept the answer to a challenge, or none could be given; of several, `fault` is the first."""

    def __init__(self, fault: Fault, *others: ChallengeError) -> None:
        super().__init__(fault)
        if others:
            self.args = ("\n".join([str(self), *map(str, others)]),)
