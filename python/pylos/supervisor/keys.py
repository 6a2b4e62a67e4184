"""The gateway's own secret, and the keys that are made from it, one for each purpose.

What is derived from it survives a restart, and is the same on each machine that has the same secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from pylos.errors import GatewayError

LENGTH = 32
"""Bytes of a secret, and of a key unless more are asked for."""
PREVIOUS = ".previous"
"""What the file of the secret before has behind the name of the one in use."""
PLACE = "[pylos] secret"


class Derived(NamedTuple):
    """A key for one purpose."""

    current: bytes
    """What to sign and encrypt by."""
    previous: bytes | None
    """What else to accept, for as long as the secret before is there."""


class Keys:
    """Makes keys from the secret."""

    def __init__(self, current: bytes, previous: bytes | None = None) -> None:
        self._current = current
        self._previous = previous

    def derive(self, purpose: str, length: int = LENGTH) -> Derived:
        """Make the key for a purpose, of so many bytes. Two purposes have two keys that tell nothing of each other."""
        info = f"pylos {purpose}".encode()
        before = None if self._previous is None else hkdf(self._previous, info, length)
        return Derived(hkdf(self._current, info, length), before)

    @property
    def estate(self) -> list[str]:
        """What a program has to know that this one becomes: the secrets themselves."""
        return [secret.hex() for secret in (self._current, self._previous) if secret is not None]

    @classmethod
    def inherit(cls, told: list[str]) -> Keys:
        """Go on with what `estate` of another program gave."""
        return cls(*map(bytes.fromhex, told))

    def __repr__(self) -> str:
        return "Keys(***)"


def hkdf(secret: bytes, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """Derive `length` bytes, at most 8160, from a secret (RFC 5869, with SHA-256). Without a salt it is all zeros."""
    if not 0 < length <= 255 * LENGTH:
        raise ValueError(f"a key of {length} bytes: between 1 and {255 * LENGTH} can be derived")
    pseudorandom = hmac.digest(salt or bytes(LENGTH), secret, hashlib.sha256)
    derived = block = b""
    while len(derived) < length:
        block = hmac.digest(pseudorandom, block + info + bytes([len(derived) // LENGTH + 1]), hashlib.sha256)
        derived += block
    return derived[:length]


def keys_in_memory() -> Keys:
    """Make keys that end with this process."""
    return Keys(secrets.token_bytes(LENGTH))


def keys_of_folder(folder: Path) -> Keys:
    """Read the secret of a state directory, made where it is missing. Raises OSError or GatewayError."""
    file = folder / "secret"
    if not file.exists():
        _write(file, secrets.token_hex(LENGTH))
    return keys_of_file(file)


def keys_of_file(file: Path) -> Keys:
    """Read a secret, and the one before where that is there. Raises GatewayError."""
    before = file.with_name(file.name + PREVIOUS)
    return Keys(_read(file), _read(before) if before.exists() else None)


def _read(file: Path) -> bytes:
    """Read one secret: 64 hexadecimal digits, for its owner and group alone."""
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            text = opened.read(LENGTH * 4) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise _unusable(file, f"cannot be read: {error.strerror}", NAME_IT) from None
    if found.st_mode & 0o007:
        raise _unusable(file, "can be read or written by others", f"run `chmod 600 {file}`, and give it a new secret")
    if not FORM.fullmatch(text):
        raise _unusable(file, "is no secret", "it has 64 hexadecimal digits, as `openssl rand -hex 32` writes them")
    return bytes.fromhex(text.decode())


FORM = re.compile(rb"[0-9A-Fa-f]{64}\s*")
NAME_IT = "it must be there, and this user must be able to read it"


def _unusable(file: Path, why: str, hint: str) -> GatewayError:
    return GatewayError(f"the secret {file} {why} ({PLACE})\n      = {hint}")


def _write(file: Path, text: str) -> None:
    """Write a new secret, whole or not at all. It belongs to whom the folder belongs to."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)  # of one that died over it
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text + "\n")
        opened.flush()
        if os.geteuid() == 0:
            owner = file.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fsync(descriptor)
    draft.replace(file)
