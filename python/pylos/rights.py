"""Code of users runs without the rights of root."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterable
from pathlib import Path


def give_up_root(needed: Iterable[Path]) -> None:
    """Become `nobody`, where root started us and `nobody` can read all that is `needed`, Python's own files among it.

    What lies under /root or in a private folder is run as root: it could not be read otherwise, and root chose it.
    """
    if os.geteuid() != 0:
        return
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return
    paths = [*needed, Path(__file__), Path(os.__file__), *map(Path, filter(None, sys.path))]
    paths = [path for path in paths if path.exists()]
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    readable = all_readable(paths)
    os.seteuid(0)
    os.setegid(0)
    if not readable:
        os.setgroups(groups)
        return
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def all_readable(paths: Iterable[Path]) -> bool:
    """Whether we, as we are now, can read these and the Python files in those that are folders."""
    for path in paths:
        enters = os.access(path, os.X_OK, effective_ids=True) and path.is_dir()
        files = [path, *path.glob("*.py")] if enters else [path]
        if not all(os.access(file, os.R_OK, effective_ids=True) for file in files):
            return False
    return True
