"""What a supervisor stands on: who it is, what it keeps, and what its service manager has given and wants to know.

Taken once, when the first configuration has been read and nothing has been opened or started; what the file says about
it later holds from the next start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pylos.errors import GatewayError
from pylos.rights import all_readable
from pylos.supervisor import log, state
from pylos.supervisor.account import Account, account_to_become, become
from pylos.supervisor.activation import Passed
from pylos.supervisor.capability import leave_none_to_children
from pylos.supervisor.container import FIRST, leave_first_place
from pylos.supervisor.keys import Keys, keys_in_memory, keys_of_file, keys_of_folder
from pylos.supervisor.notify import Notifier
from pylos.supervisor.source import Checked
from pylos.supervisor.state import StateFolder, default_folder, make_folder

OF_THE_START = ("state", "secret", "user")
"""Keys of [pylos] that count when a supervisor starts, and not on a reload."""


class Ground:
    """The ground of one supervisor. Without a name it keeps nothing unless its file names a state directory."""

    def __init__(
        self,
        name: str | None = None,
        passed: Passed | None = None,
        notifier: Notifier | None = None,
        patience: int | None = None,
    ) -> None:
        self._name = name
        self.patience = patience
        """How many gateway processes may end or fail one after the other before all is given up; None is any number."""
        self.passed = passed or Passed()
        self.notifier = notifier or Notifier()
        self.folder: StateFolder | None = None
        self.keys = keys_in_memory()
        """From them the keys of everything that is signed or encrypted are derived."""
        self.on_account: Callable[[Account], None] = lambda _: None
        """Called as root before we become another user, for what is to belong to that one."""
        self._said: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self._unused_told = False

    @classmethod
    def of_program(cls, name: str | None, inherited: Mapping[str, Any] | None) -> Ground:
        """Take what our starter has left for us, and go on in a child where that made us the first process.

        Or go on with what the program has left that this one was.
        """
        if inherited is not None:
            return cls._inherit(name, inherited)
        pid = leave_first_place()
        leave_none_to_children()
        passed, notifier = Passed.of_environment(os.environ, pid), Notifier.of_environment(os.environ, pid)
        return cls(name, passed, notifier, PATIENCE if pid == FIRST else None)

    @classmethod
    def _inherit(cls, name: str | None, told: Mapping[str, Any]) -> Ground:
        leave_none_to_children()
        notifier = Notifier.of_environment(os.environ, os.getpid())
        ground = cls(name, Passed.inherit(told["passed"]), notifier, told["patience"])
        if told["folder"] is not None:
            ground.folder = StateFolder(Path(told["folder"]), told["lock"])
        ground.keys = Keys.inherit(told["keys"])
        ground._said = ground._told = told["said"]
        return ground

    @property
    def state(self) -> Path | None:
        """The state directory; None where nothing is kept."""
        return None if self.folder is None else self.folder.path

    @property
    def estate(self) -> dict[str, Any]:
        """What a program has to know that this one becomes."""
        folder, passed = self.folder, self.passed.estate
        lock = None if folder is None else folder.lock
        return {
            "descriptors": [*(descriptor for _, descriptor in passed), *([] if lock is None else [lock])],
            "folder": None if folder is None else str(folder.path.absolute()),
            "lock": lock,
            "passed": passed,
            "keys": self.keys.estate,
            "said": self._said,
            "patience": self.patience,
        }

    def take(self, checked: Checked) -> None:
        """Open the state directory, read the secret, give up root; or stand where it stood before.

        Raises GatewayError.
        """
        if self._said:
            return
        said = self._said = self._told = _of_the_start(checked)
        account = account_to_become(said["user"])
        path, named = self._folder_path(said["state"]), said["secret"]
        if named is not None:
            self.keys = keys_of_file(Path(named))
        if account is not None:
            # As root nothing is opened in a folder that is not root's.
            if path is not None:
                self._make_folder(path, said["state"], account)
            self.on_account(account)
            become(account)
            log.info("user", f"runs as {account.name}", user=account.name)
        self.folder = None if path is None else self._open_folder(path, said["state"], account)
        if named is None:
            self.keys = self._read_keys()
        if account is None:
            return
        _check_program(account)
        _check_log(checked.table["pylos"]["access_log"], account)
        _tell_unreadable(checked.files, account)

    def _folder_path(self, named: str | None) -> Path | None:
        """Say where the state directory is; None where nobody has named one."""
        if named is not None:
            return Path(named)
        if self._name is None:
            return None
        try:
            return default_folder(self._name)
        except OSError as error:
            log.warning("state_failed", f"no state directory ({_reason(error)}): nothing is kept when the gateway ends")
            return None

    def _make_folder(self, path: Path, named: str | None, account: Account) -> None:
        """Make it for another user."""
        try:
            make_folder(path, account)
        except OSError as error:
            raise _no_folder(named, error) from None

    def _open_folder(self, path: Path, named: str | None, account: Account | None) -> StateFolder | None:
        """Open the state directory; none where the usual one cannot be made."""
        try:
            return StateFolder.open(path)
        except OSError as error:
            if named is not None or account is not None:
                raise _no_folder(named, error) from None
            log.warning("state_failed", f"no state directory ({_reason(error)}): nothing is kept when the gateway ends")
            return None

    def _read_keys(self) -> Keys:
        if self.folder is None:
            if self._name is not None:
                log.info("secret_in_memory", "the gateway's secret is in memory only: what it signs ends with it")
            return self.keys
        try:
            return keys_of_folder(self.folder.path)
        except OSError as error:
            raise GatewayError(f"the secret in {self.folder.path} cannot be written: {_reason(error)}") from None

    def serves(self, number: int, listen: Mapping[str, Sequence[str]]) -> None:
        """Tell the service manager that a configuration is in use, and ourselves what it has passed for nothing."""
        self._tell_unused()
        addresses = ", ".join(address for addresses in listen.values() for address in addresses)
        self.notifier.ready(f"configuration {number} serves on {addresses}")

    def _tell_unused(self) -> None:
        """Warn of sockets that were passed for nothing, once."""
        unused = self.passed.unused
        if unused and not self._unused_told:
            self._unused_told = True
            text = f"sockets were passed that no `bind` names: {', '.join(unused)}"
            log.warning("socket_unused", text, sockets=unused)

    def tell_of_the_start(self, checked: Checked) -> None:
        """Warn of what the file says now and the next start will bring."""
        said = _of_the_start(checked)
        changed = [key for key in OF_THE_START if said[key] != self._told[key]]
        self._told = said
        if differing := [key for key in changed if said[key] != self._said[key]]:
            text = f"[pylos] {', '.join(differing)}: holds from the next start of the gateway"
            log.warning("needs_restart", text, keys=differing)

    def close(self) -> None:
        """Let go of it all."""
        self.notifier.close()
        self.passed.close()
        if self.folder is not None:
            self.folder.close()


PATIENCE = 10
"""In a container, what runs it can do more about a gateway that does not start; that is after some 20 seconds."""
HINT = '      = make it, for the user that Pylos runs as; or name another one: `state = "DIR"`'


def _of_the_start(checked: Checked) -> dict[str, Any]:
    table = checked.table["pylos"]
    return {key: table.get(key) for key in OF_THE_START}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _no_folder(named: str | None, error: OSError) -> GatewayError:
    where = f", {named}," if named is not None else ""
    return GatewayError(f"the state directory{where} cannot be used: {_reason(error)} ({state.PLACE})\n{HINT}")


def _check_program(account: Account) -> None:
    """See that who we are now can run what we start. Raises GatewayError."""
    if not all_readable([Path(sys.executable), Path(os.__file__).parent, Path(__file__).parent]):
        raise GatewayError(
            f"`{account.name}` cannot run {sys.executable}, or not read what belongs to it ([pylos] user)\n"
            "      = install Python and Pylos where every user can read them"
        )


def _check_log(access_log: Mapping[str, Any] | None, account: Account) -> None:
    """See that the access log can be written by who we are now. Raises GatewayError."""
    path = Path("-" if access_log is None else access_log["path"])
    if str(path) == "-":
        return
    written = path if path.exists() else path.parent
    if not os.access(written, os.W_OK, effective_ids=True):
        raise GatewayError(
            f"`{path}` cannot be written by `{account.name}` ([pylos] access_log.path)\n"
            f"      = run `chown {account.name} {written}`"
        )


def _tell_unreadable(files: Sequence[Path], account: Account) -> None:
    """Warn of files that a reload could not read."""
    if unread := [str(file) for file in files if not os.access(file, os.R_OK, effective_ids=True)]:
        text = f"`{account.name}` cannot read {', '.join(unread)}: every reload, upgrade and adoption will fail"
        log.warning("not_readable", text, files=unread)
