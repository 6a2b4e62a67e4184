"""Where the control sockets of running gateways lie: one private folder for each user."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pylos.errors import PylosError

DEFAULT_NAME = "default"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}")
ALONE = "PYLOS_RUNTIME_DIR"
"""The folder of who is to meet no other gateways of this machine, as tests are."""


def folders() -> Iterator[Path]:
    """Give the folders to try, the best first; where $PYLOS_RUNTIME_DIR names one, it is the only one."""
    if alone := os.environ.get(ALONE):
        yield Path(alone)
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and is_own(Path(runtime)):  # after `su` it may be another user's
        yield Path(runtime) / "pylos"
    yield Path("/run/pylos")  # root's, and that of whom root has made it for
    yield Path(tempfile.gettempdir()) / f"pylos-{os.geteuid()}"


def folder_to_use() -> Path:
    """Give the first folder that is ours alone, made where it is missing. Raises OSError when there is none."""
    failure: OSError | None = None
    for folder in folders():
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            failure = error
            continue
        if is_private(folder):
            return folder
        failure = OSError(f"{folder} can be written by others")
    raise failure or OSError("no runtime folder")


def is_own(folder: Path) -> bool:
    """Whether a folder belongs to this user, or to root."""
    try:
        return folder.stat().st_uid in (os.geteuid(), 0)
    except OSError:
        return False


def is_private(folder: Path) -> bool:
    """Whether a folder belongs to this user and nobody else can change it."""
    return is_of(folder, os.geteuid())


def is_trusted(folder: Path) -> bool:
    """Whether a socket in a folder is who it says it is: nobody else can change it but root."""
    return is_of(folder, os.geteuid(), 0)


def is_of(folder: Path, *users: int) -> bool:
    """Whether one of these users has a folder that nobody else can change."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid in users and not found.st_mode & 0o022


def socket_path(folder: Path, name: str) -> Path:
    """Give the path of a gateway's control socket."""
    return folder / f"{name}.sock"


def checked_name(name: str) -> str:
    """Refuse what cannot be the name of a gateway."""
    if not NAME.fullmatch(name):
        raise PylosError(f"`{name}` cannot be a gateway's name: it has at most 32 letters, digits, `_` and `-`")
    return name


def known_names() -> list[str]:
    """List the gateways whose sockets are there, whether they live or not."""
    return sorted({path.stem for folder in folders() if is_trusted(folder) for path in folder.glob("*.sock")})
