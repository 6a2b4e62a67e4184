"""`[pylos] user`: who the gateway is once it has begun, where root started it.

The supervisor keeps one right of root's, to bind ports below 1024: a reload may name another one. What it starts
(gateway process, lanes) has none.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from pylos.errors import GatewayError
from pylos.supervisor import capability

PLACE = "[pylos] user"


@dataclass(frozen=True)
class Account:
    """A user and a group of this machine."""

    name: str
    uid: int
    gid: int
    home: str


def account_to_become(user: str | None) -> Account | None:
    """Find who to become: nobody else where none is named, or where that is who we are. Raises GatewayError."""
    if user is None:
        return None
    account = account_of(user)
    if os.geteuid() == 0:
        return account
    if (account.uid, account.gid) == (os.geteuid(), os.getegid()):
        return None  # started as that user by a service manager, or by ourselves
    raise GatewayError(
        f"cannot become `{user}` without being root ({PLACE})\n"
        "      = start Pylos as root, or as that user and without the key"
    )


def account_of(user: str) -> Account:
    """Look up `NAME` or `NAME:GROUP`. Raises GatewayError where there is none."""
    name, _, group = user.partition(":")
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise _unknown(user, f"this machine has no user `{name}`", f"useradd --system {name}") from None
    try:
        gid = grp.getgrnam(group).gr_gid if group else found.pw_gid
    except KeyError:
        raise _unknown(user, f"this machine has no group `{group}`", f"groupadd --system {group}") from None
    return Account(name, found.pw_uid, gid, found.pw_dir)


def _unknown(user: str, why: str, command: str) -> GatewayError:
    return GatewayError(f"cannot become `{user}`: {why} ({PLACE})\n      = make it: `{command}`")


def become(account: Account) -> None:
    """Be that user from now on, with the right to bind ports below 1024 as far as root has it here, and no other.

    Of this thread: what other threads there are have no right at all afterwards. No program that is started from here
    on can gain one. Raises GatewayError.
    """
    try:
        with capability.kept_through_a_change():
            os.initgroups(account.name, account.gid)
            os.setgid(account.gid)
            os.setuid(account.uid)
        capability.keep_only_binding()
        capability.gain_none()
    except OSError as error:
        raise GatewayError(
            f"cannot become `{account.name}`: {error.strerror} ({PLACE})\n"
            "      = root needs CAP_SETUID and CAP_SETGID for that, which a container may lack"
        ) from None
    os.environ.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
