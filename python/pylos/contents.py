"""What stands at a path: what cannot be looked at, or can be no path, is not there."""

from __future__ import annotations

import os
from pathlib import Path


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
