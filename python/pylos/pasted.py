"""Keys that were pasted into a document, where the name of a file was asked for: nothing that is told may show them."""

from __future__ import annotations

import re

BLOCK = re.compile(
    r"-----BEGIN(?:(?!-----BEGIN)[\s\S])*?-----END[^\n]*?-----"
    r"|-----BEGIN[^\n\"']*(?:\n[ \t]*[A-Za-z0-9+/=]{16,}[^\n]*)*"
)
"""A block of PEM (RFC 7468), on one line or on several; the second form is one that has no end."""
BARE = re.compile(r"(?<![A-Za-z0-9+/])(?:M|LS0tLS1CRUdJTi)[A-Za-z0-9+/]{59,}={0,2}")
"""A key or a certificate without the marks of PEM (DER begins with a sequence, which is `M` in base64), or with them
and in base64 once more."""


def is_pasted(text: str) -> bool:
    """Whether a text is no name of a file, but what would be in one."""
    return "-----BEGIN" in text or BARE.fullmatch(text.strip()) is not None


def without_blocks(text: str) -> str:
    """Give a text with stars in the place of what is PEM in it. No line becomes longer or shorter."""
    return BLOCK.sub(starred, text) if "-----BEGIN" in text else text


def without_keys(line: str) -> str:
    """Give a line with stars in the place of whatever in it may be a key, as long as it was."""
    return BARE.sub(starred, without_blocks(line))


def starred(found: re.Match[str]) -> str:
    """Give stars in the place of a text, on as many lines."""
    return re.sub(r"[^\n]", "*", found[0])
