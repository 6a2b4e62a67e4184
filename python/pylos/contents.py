"""What stands at a path, and what is in it. What cannot be looked at, or can be no path, is not there.

Only regular files are read, and only so much of them: a pipe would be waited for, and a device may have no end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType

MOST_BYTES = 64 << 20
"""Of a larger file not what is in it is looked at, but its size and when it was written."""


class NoFileError(OSError):
    """There is something, and it is no regular file."""


Held = MutableMapping[Path, bytes]
"""What files held when they were read, by their digests."""


def read(path: Path, most: int, held: Held | None = None) -> bytes:
    """Read a regular file, and one byte more than `most` of one that is larger. Raises OSError, NoFileError.

    What it held is noted, also that it could not be read.
    """
    found = digest_of_data(b"", LARGE)
    try:
        data = from_disk(path, most)
        if len(data) <= min(most, MOST_BYTES):
            found = digest_of_data(data)
    except OSError as error:
        found = digest_of_failure(error)
        raise
    finally:
        if held is not None:
            held.setdefault(path, found)
    return data


def from_disk(path: Path, most: int) -> bytes:
    """Read a regular file, so much of it at most and a byte."""
    if is_there(path) and not is_file(path):  # to open a device may do something already
        raise NoFileError(errno.EINVAL, "is no file")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:  # a NUL in its name
        raise NoFileError(errno.EINVAL, "is no file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoFileError(errno.EINVAL, "is no file")
    with os.fdopen(descriptor, "rb") as file:
        pieces, left = [], most + 1
        while left > 0 and (piece := file.read(min(left, PIECE))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


PIECE = 1 << 20
"""For a file that is short no more than this is taken from memory."""


def digest(files: Iterable[Path], held: Mapping[Path, bytes] = MappingProxyType({})) -> bytes:
    """Give a digest of what is in files, or was in those of which it was noted when they were read.

    One that cannot be read counts as another content. Of a folder, in which a pattern looks for files, the names count.
    """
    whole = hashlib.sha256()
    for file in files:
        whole.update(held.get(file) or digest_of(file))
    return whole.digest()


def note(files: Iterable[Path], held: Held) -> None:
    """Note what is in files of which that is not known."""
    for file in files:
        if file not in held:
            held[file] = digest_of(file)


def digest_of(file: Path) -> bytes:
    """Give the digest of one."""
    try:
        if is_folder(file):
            return digest_of_data(names_in(file))
        data = from_disk(file, MOST_BYTES)
        if len(data) <= MOST_BYTES:
            return digest_of_data(data)
        found = file.stat()
    except OSError as error:
        return digest_of_failure(error)
    return digest_of_data(f"{found.st_size} {found.st_mtime_ns}".encode(), LARGE)


def digest_of_failure(error: OSError) -> bytes:
    """Give the digest of what cannot be read."""
    return digest_of_data(str(error.errno).encode(), b"unreadable")


def digest_of_data(data: bytes, kind: bytes = b"") -> bytes:
    """Give the digest of what was read already."""
    return hashlib.sha256(kind + data).digest()


LARGE = b"large"
"""Put before what counts of a file that is not read whole."""


def names_in(folder: Path) -> bytes:
    """List a folder, without what editors leave there while they write."""
    names = (path.name for path in folder.iterdir())
    return "\0".join(sorted(name for name in names if not name.startswith(".") and not name.endswith("~"))).encode(
        errors="surrogateescape"
    )


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be seen. `Path.is_dir` raises where one on the way may not be entered."""
    return os.path.isdir(path)  # noqa: PTH112 - as said above


def is_file(path: Path) -> bool:
    """Whether it is a regular file that can be seen."""
    return os.path.isfile(path)  # noqa: PTH113 - as above


def is_link(path: Path) -> bool:
    """Whether it is a symbolic link that can be seen."""
    return os.path.islink(path)  # noqa: PTH114 - as above


def is_there(path: Path) -> bool:
    """Whether there is anything that can be seen."""
    return os.path.exists(path)  # noqa: PTH110 - as above
