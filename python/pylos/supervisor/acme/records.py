"""What the files of a storage hold: checked whenever one is read, since other machines and people write them too."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Literal[1] = 1
Kind = Literal["http-01", "tls-alpn-01", "dns-01"]


class Record(BaseModel):
    """The base: no conversions; keys of later versions are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)
    format: Literal[1] = FORMAT


class AccountRecord(Record):
    """Who we are at an authority."""

    directory: str
    key: str
    """PEM."""
    url: str | None = None
    """None until it is registered: the key is kept before that, so that no answer that is lost costs an account."""
    email: str | None = None


class CertificateRecord(Record):
    """A chain and its key, in one file: so they change together."""

    name: str
    source: str
    chain: str
    key: str


class AnswerRecord(Record):
    """What a validator is answered."""

    kind: Kind
    key: str
    """What it asks for: the token, the server name, or `NAME VALUE` of a record."""
    domain: str
    value: str
    """The key authorization (RFC 8555 section 8.1)."""
    at: float
    """When it was made, in seconds since 1970."""


class StateRecord(Record):
    """What all machines are to know about the certificate of a name beside the certificate itself."""

    name: str
    about: str | None = None
    """A digest of what was wanted when it failed: for something else, failures do not count."""
    failures: int = Field(default=0, ge=0)
    issued_for: str | None = None
    """The digest of what was wanted when the stored certificate was issued."""
    issued_at: float = 0.0
    changes: int = Field(default=0, ge=0)
    """How often in a row one was issued for something else than the one before, shortly one after the other."""
    tried_at: float | None = None
    """When the last attempt began."""
    is_open: bool = False
    """It is under way, or who made it has died: then it counts as failed, and `next_try` was written when it began."""
    first_failure: float | None = None
    next_try: float = 0.0
    """Not before this, unless somebody asks for it."""
    error: str | None = None
    error_at: float | None = None
    held_off: dict[str, float] = Field(default_factory=dict)
    """Until when authorities, by the URL of their directory, want to be left alone."""
    window: tuple[float, float] | None = None
    """When the authority wants the certificate to be renewed (RFC 9773 section 4.2)."""
    window_of: str | None = None
    """The fingerprint of the certificate that this is about."""
    window_ask_at: float = 0.0
