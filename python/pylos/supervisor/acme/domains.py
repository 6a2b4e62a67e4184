"""The names that a certificate is for: domains, wildcards and addresses, each in one spelling."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import idna

from pylos.supervisor.acme.errors import SettingsError

LONGEST = 253
"""Characters of a domain (RFC 1035 section 3.1: 255 octets on the wire)."""
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def normal(domain: str) -> str:
    """Give the one spelling of a domain: lower case, A-labels (RFC 5890), no dot at the end; or of an address.

    Raises SettingsError.
    """
    if (address := address_of(domain)) is not None:
        return str(address)
    star, plain = ("*.", domain[2:]) if domain.startswith("*.") else ("", domain)
    plain = plain.removesuffix(".").lower()
    if not plain.isascii():
        try:
            plain = idna.encode(plain, uts46=True).decode()
        except idna.IDNAError as error:
            raise SettingsError(f"{domain!r} is no domain: {error}") from None
    labels = plain.split(".")
    if len(plain) > LONGEST or not all(LABEL.fullmatch(label) for label in labels):
        raise SettingsError(f"{domain!r} is no domain, no wildcard (`*.example.com`) and no address")
    if star and len(labels) < 2 and plain != "localhost":
        raise SettingsError(f"{domain!r}: no authority gives a certificate for all names of a top-level domain")
    return star + plain


def address_of(domain: str) -> Address | None:
    """Give the address that a name is, with or without brackets; None for a domain."""
    try:
        return ipaddress.ip_address(domain.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_wildcard(domain: str) -> bool:
    """Whether it stands for all names one level below."""
    return domain.startswith("*.")


def needed(domains: Iterable[str]) -> tuple[str, ...]:
    """Leave out what a wildcard among them covers: authorities refuse an order for both."""
    names = tuple(domains)
    return tuple(name for name in names if not covers(frozenset(names) - {name}, name))


def server_name(domain: str) -> str:
    """Give the name that a validator asks for in TLS: for an address its reverse domain (RFC 8738 section 6)."""
    address = address_of(domain)
    return domain if address is None else address.reverse_pointer


def covers(names: frozenset[str], domain: str) -> bool:
    """Whether a certificate with these names is good for a domain (RFC 6125 section 6.4.3)."""
    if domain in names:
        return True
    _, dot, parent = domain.partition(".")
    return bool(dot) and address_of(domain) is None and not is_wildcard(domain) and f"*.{parent}" in names
