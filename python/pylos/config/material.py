"""What a configuration names and its file does not hold: certificates, keys and whom to trust, as they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pylos.config.pem import Pair


@dataclass(frozen=True)
class Trusted:
    """Whom certificates are believed that someone else shows."""

    ca: str
    """PEM of those who vouch for them."""
    crls: Sequence[str] = ()
    """PEM (RFC 5280, 5) of what they have revoked."""


@dataclass(frozen=True)
class Outward:
    """What is said to targets, and what is believed of them."""

    ca: str | None = None
    """PEM; None: whom the system trusts."""
    pair: Pair | None = None
    """What is shown to them."""


@dataclass(frozen=True)
class Material:
    """All of a document. What could not be read is not there."""

    pairs: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    """By name of `tls`, in the order of `cert`."""
    clients: Mapping[str, Trusted] = field(default_factory=dict)
    """Whose clients are believed, by name of `tls`."""
    outward: Mapping[str, Outward] = field(default_factory=dict)
    """By name of `upstream`."""
    files: Sequence[Path] = ()
    """All files that are named: to change one of them is to change the configuration."""


NOTHING = Material()
