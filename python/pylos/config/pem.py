"""The blocks of a text in PEM (RFC 7468), each with its line. What tools have written around them is no part.

A text that breaks off, or that something has been written into, is told with the line where it shows.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Block", "Pair", "PemError", "blocks_of"]


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, as the gateway takes it."""

    names: list[str]
    """The DNS names of the certificate, in lower case: `shop.example.com`, `*.example.com`."""
    chain: str
    """PEM: the certificate, then those that vouch for it."""
    key: str = field(repr=False)
    """PEM (PKCS #8); a secret."""
    file: str
    """Where the certificate was read."""


@dataclass(frozen=True)
class Block:
    """One block."""

    label: str
    """What it says that it is: `CERTIFICATE`."""
    line: int
    """The line of its beginning, from 1."""
    text: str = field(repr=False)
    """The block itself, with both its marks."""

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed to read it, by either form in which keys are encrypted."""
        return self.label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in self.text


class PemError(Exception):
    """What is wrong with a text, where in it (line 0: as a whole), and what to do."""

    def __init__(self, message: str, line: int = 0, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


MARK = re.compile(r"-----(?P<end>BEGIN|END) (?P<label>[^-]*(?:-[^-]+)*)-----\s*")
HEADER = re.compile(r"[A-Za-z0-9-]+: .*|\s+\S.*")
"""Of an encrypted key in OpenSSL's own form (RFC 1421): `Proc-Type: 4,ENCRYPTED`."""
CUT_OFF = "copy the file again, whole"


def blocks_of(text: str) -> list[Block]:
    """List the blocks of a text. Raises PemError for the first that is not whole."""
    found, lines = list(opened_and_closed(text)), text.splitlines()
    blocks = [block(label, first, lines[first - 1 : last]) for label, first, last in found]
    if not blocks:
        raise PemError("holds nothing in PEM", hint="a block begins with a line such as `-----BEGIN CERTIFICATE-----`")
    return blocks


def opened_and_closed(text: str) -> Iterator[tuple[str, int, int]]:
    """Give the label and both lines of each block. Raises PemError."""
    opened: tuple[str, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.fullmatch(line)
        if mark is None:
            if "-----BEGIN" in line or "-----END" in line:
                raise PemError("a mark of PEM that cannot be read", number, "a mark has a line of its own")
            continue
        label = mark["label"]
        if mark["end"] == "BEGIN":
            if opened is not None:
                raise unended(*opened)
            opened = label, number
        elif opened is None or opened[0] != label:
            raise PemError(f"the end of a block `{label}` that does not begin", number, CUT_OFF)
        else:
            yield label, opened[1], number
            opened = None
    if opened is not None:
        raise unended(*opened)


def unended(label: str, line: int) -> PemError:
    """Say that a block has no end."""
    return PemError(f"the block that begins here has no `-----END {label}-----`: the file is cut off", line, CUT_OFF)


def block(label: str, first: int, lines: list[str]) -> Block:
    """Check one block's lines. Raises PemError."""
    found = Block(label, first, "\n".join(line.strip() for line in lines) + "\n")
    data: list[bytes] = []
    for number, line in enumerate(lines[1:-1], first + 1):
        if HEADER.fullmatch(line) and found.is_encrypted:
            continue
        if not BASE64.fullmatch(line.strip()):
            raise PemError("no line of PEM: it has letters, digits, `+`, `/` and at the end `=`", number, CUT_OFF)
        data.append(line.strip().encode())
    try:
        binascii.a2b_base64(b"".join(data), strict_mode=True)
    except binascii.Error:
        raise PemError(f"a part of the block `{label}` that begins here is missing", first, CUT_OFF) from None
    return found


BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
