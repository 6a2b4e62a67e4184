"""What a configuration names and its file does not hold: certificates, keys and whom to trust, as they were read.

It changes while the configuration stays: so it can be taken out of a table, and put in anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """All files that are named: to change one of them is to change the material."""
    named: Mapping[str, Any] = field(default_factory=dict)
    """The same in the words of a document, files as they were found: `{"tls": {...}, "upstream": {...}}`."""


NOTHING = Material()
OF_MATERIAL = frozenset({"tls", "upstream"})
"""The kinds of tables in which all secrets are keys of certificates."""


def without_material(table: Mapping[str, Any]) -> dict[str, Any]:
    """Give a table without it: what is left is what its file says."""
    tls = {
        name: {**one, "certificates": [], "client": bare(one.get("client"))}
        for name, one in table.get("tls", {}).items()  # an earlier version had none
    }
    upstream = {
        name: {**one, "tls": one.get("tls") and {**one["tls"], "ca": None, "certificate": None}}
        for name, one in table.get("upstream", {}).items()
    }
    return {**table, "tls": tls, "upstream": upstream}


def bare(client: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give what clients have to show, without those who vouch for them."""
    return None if client is None else {**client, "ca": "", "crls": []}
