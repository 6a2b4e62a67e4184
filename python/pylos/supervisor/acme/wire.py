"""What authorities say, as types: read once, so that no later step meets something else (RFC 8555 section 7.1)."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pylos.supervisor.acme.errors import Problem

BASE64URL = r"^[A-Za-z0-9_-]+$"


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Identifier(_Said):
    """A domain or an address (RFC 8738)."""

    type: str
    value: str


class ProblemBody(_Said):
    """A problem document (RFC 8555 section 6.7)."""

    type: str = "about:blank"
    detail: str = ""
    identifier: Identifier | None = None
    subproblems: tuple[ProblemBody, ...] = ()

    @property
    def problem(self) -> Problem:
        """The same, as errors carry it."""
        about = None if self.identifier is None else self.identifier.value
        return Problem(self.type, self.detail, about, tuple(inner.problem for inner in self.subproblems))


class ChallengeBody(_Said):
    """One way to prove a domain (RFC 8555 section 8)."""

    type: str
    url: str
    status: str = "pending"
    token: str | None = Field(default=None, pattern=BASE64URL, max_length=256)
    error: ProblemBody | None = None


class AuthorizationBody(_Said):
    """Whether we may have certificates for a domain (section 7.1.4)."""

    identifier: Identifier
    status: Literal["pending", "valid", "invalid", "deactivated", "expired", "revoked"]
    challenges: tuple[ChallengeBody, ...] = ()
    wildcard: bool = False

    @property
    def domain(self) -> str:
        """As it was asked for, with the `*.` of a wildcard."""
        return f"*.{self.identifier.value}" if self.wildcard else self.identifier.value


class OrderBody(_Said):
    """An order (section 7.1.3)."""

    status: Literal["pending", "ready", "processing", "valid", "invalid"]
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None = None
    error: ProblemBody | None = None


class _Window(_Said):
    start: datetime
    end: datetime


class RenewalInfoBody(_Said):
    """When a certificate is to be renewed (RFC 9773 section 4.2)."""

    suggested_window: _Window = Field(alias="suggestedWindow")
    explanation: str | None = Field(default=None, alias="explanationURL")


class MetaBody(_Said):
    """What an authority says of itself (section 7.1.1)."""

    external_account_required: bool = Field(default=False, alias="externalAccountRequired")
    profiles: dict[str, str] = Field(default_factory=dict)


class DirectoryBody(_Said):
    """Where everything is (section 7.1.1)."""

    new_nonce: str = Field(alias="newNonce")
    new_account: str = Field(alias="newAccount")
    new_order: str = Field(alias="newOrder")
    renewal_info: str | None = Field(default=None, alias="renewalInfo")
    meta: MetaBody = Field(default_factory=MetaBody)


def retry_after(text: str | None, now: float) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3) as seconds from now; None where it is not there or no good."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
