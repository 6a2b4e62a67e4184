"""What stands at a path, and what is in it. What cannot be looked at, or can be no path, is not there.

Only regular files are read, and only so much of them: a pipe would be waited for, and a device may have no end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

MOST_BYTES = 64 << 20
"""Of a larger file not what is in it is looked at, but its size and when it was written."""


class NoFileError(OSError):
    """There is something, and it is no regular file."""


def read(path: Path, most: int) -> bytes:
    """Read a regular file, and one byte more than `most` of one that is larger. Raises OSError, NoFileError."""
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
        return file.read(most + 1)


def digest(files: Iterable[Path]) -> bytes:
    """Give a digest of what is in files; one that cannot be read counts as another content.

    Of a folder, in which a pattern looks for files, the names count.
    """
    whole = hashlib.sha256()
    for file in files:
        whole.update(digest_of(file))
    return whole.digest()


def digest_of(file: Path) -> bytes:
    """Give the digest of one."""
    try:
        if is_folder(file):
            return digest_of_data(names_in(file))
        data = read(file, MOST_BYTES)
        if len(data) <= MOST_BYTES:
            return digest_of_data(data)
        found = file.stat()
    except OSError as error:
        return digest_of_data(str(error.errno).encode(), b"unreadable")
    return digest_of_data(f"{found.st_size} {found.st_mtime_ns}".encode(), b"large")


def digest_of_data(data: bytes, kind: bytes = b"") -> bytes:
    """Give the digest of what was read already."""
    return hashlib.sha256(kind + data).digest()


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
