"""The names that a certificate can be for: domains, wildcards and addresses, each in one spelling."""

from __future__ import annotations

import ipaddress
import re

import idna

LONGEST = 253
"""Characters of a domain (RFC 1035 section 3.1: 255 octets on the wire)."""
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")


def normal(domain: str) -> str:
    """Give the one spelling of a domain: lower case, A-labels (RFC 5890), no dot at the end; or of an address.

    Raises ValueError, which says what is wrong.
    """
    if is_address(domain):
        return str(ipaddress.ip_address(bare(domain)))
    star, plain = ("*.", domain[2:]) if domain.startswith("*.") else ("", domain)
    plain = plain.removesuffix(".").lower()
    if not plain.isascii():
        try:
            plain = idna.encode(plain, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"`{domain}` is no domain: {error}") from None
    labels = plain.split(".")
    if len(plain) > LONGEST or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"`{domain}` is no domain, no wildcard (`*.example.com`) and no address")
    if star and len(labels) < 2 and plain != "localhost":
        raise ValueError(f"`{domain}`: no authority gives a certificate for all names of a top-level domain")
    return star + plain


def is_address(domain: str) -> bool:
    """Whether it is an address, with or without brackets."""
    try:
        ipaddress.ip_address(bare(domain))
    except ValueError:
        return False
    return True


def is_wildcard(domain: str) -> bool:
    """Whether it stands for all names one level below."""
    return domain.startswith("*.")


def bare(domain: str) -> str:
    """Give an address without its brackets."""
    return domain[1:-1] if domain.startswith("[") and domain.endswith("]") else domain
