"""The state directory: what a gateway keeps when it ends. It is private, and one supervisor at a time uses it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from pylos.errors import GatewayError
from pylos.supervisor import lock
from pylos.supervisor.account import Account
from pylos.supervisor.runtime import DEFAULT_NAME, checked_name

PLACE = "[pylos] state"


class StateFolder:
    """A state directory in use. Made by `open`; let go by `close`, or with the process."""

    def __init__(self, path: Path, held: int) -> None:
        self.path = path
        self.lock = held
        """The descriptor by which it is ours."""

    @classmethod
    def open(cls, path: Path) -> StateFolder:
        """Make it where it is missing (mode 0700), and take it.

        Raises OSError where there can be none, GatewayError where another supervisor uses it.
        """
        make_folder(path)
        held = lock.opened(path / "lock")
        try:
            lock.take(held)
        except lock.TakenError as error:
            os.close(held)
            raise GatewayError(
                f"the state directory {path} is in use by another gateway{error.owner} ({PLACE})\n"
                '      = give each gateway its own: `state = "DIR"`, or another name: pylos serve -n NAME'
            ) from None
        except BaseException:
            os.close(held)
            raise
        return cls(path, held)

    def close(self) -> None:
        """Let another supervisor use it."""
        with suppress(OSError):
            os.close(self.lock)


def make_folder(path: Path, account: Account | None = None) -> None:
    """Make a folder that is ours alone, or the account's; or see that the one there is. Raises OSError.

    One that is root's and empty, as a new volume of a container is, is given to the account.
    """
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    # By a descriptor: what is looked at is what is given, whoever owns the folder above.
    follow = os.O_NOFOLLOW if account is not None else 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | follow)
    except OSError as error:
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and path.exists()):
            raise NotADirectoryError(f"{path} is no directory") from None
        raise
    try:
        found = os.fstat(descriptor)
        if account is not None and found.st_uid == os.geteuid() and not holds_anything(descriptor):
            os.fchmod(descriptor, 0o700)
            os.fchown(descriptor, account.uid, account.gid)
            found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    uid = os.geteuid() if account is None else account.uid
    if found.st_uid != uid:
        raise PermissionError(f"{path} belongs to the user with the number {found.st_uid}, and not to {uid}")
    if found.st_mode & 0o022:
        raise PermissionError(f"{path} can be written by others")


def holds_anything(folder: int) -> bool:
    """Whether there is more in a folder than a new file system has."""
    with os.scandir(folder) as entries:
        return any(entry.name != "lost+found" for entry in entries)


def default_folder(name: str) -> Path:
    """Give the state directory of a gateway whose file names none. Raises OSError where no user has a home.

    $STATE_DIRECTORY is what a service manager has made for us.
    """
    if given := os.environ.get("STATE_DIRECTORY"):
        base = Path(given.partition(":")[0])
    elif os.geteuid() == 0:
        base = Path("/var/lib/pylos")
    else:
        base = _home() / "pylos"
    if name == DEFAULT_NAME:
        return base
    # Beside that of the default one, which may be another user's; but below what a service manager has made.
    return base / checked_name(name) if given else base.with_name(f"{base.name}-{checked_name(name)}")


def _home() -> Path:
    """Give the user's own folder for state."""
    given = os.environ.get("XDG_STATE_HOME", "")
    if given.startswith("/"):  # a relative one is to be ignored, says the XDG specification
        return Path(given)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise OSError("this user has no home directory") from error
