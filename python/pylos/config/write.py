"""Writing a configuration: the file is the old one or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pylos.errors import PylosError

NEW_FILE = 0o644


def write(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file at once, with the rights that it had; behind a link, the file itself.

    Raises PylosError where it cannot be written, or is there although it is not to be replaced.
    """
    real = Path(os.path.realpath(path))
    try:
        mode = real.stat().st_mode & 0o7777 if real.exists() else NEW_FILE
        descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            if replace:
                os.replace(name, real)  # noqa: PTH105 - as link, below
            else:
                os.link(name, real)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108 - as link, above
    except FileExistsError:
        raise PylosError(f"{path} is there already; --force replaces it") from None
    except OSError as error:
        raise PylosError(f"{path} cannot be written: {error.strerror}") from None
