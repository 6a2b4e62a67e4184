"""The names that a certificate is for: domains, wildcards and addresses, each in one spelling."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from pylos.model import domain as domain_names
from pylos.model.domain import is_wildcard
from pylos.supervisor.acme.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def normal(domain: str) -> str:
    """Give the one spelling of a domain: lower case, A-labels (RFC 5890), no dot at the end; or of an address.

    Raises SettingsError.
    """
    try:
        return domain_names.normal(domain)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def address_of(domain: str) -> Address | None:
    """Give the address that a name is, with or without brackets; None for a domain."""
    try:
        return ipaddress.ip_address(domain.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


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
