"""What a process that runs code of users has imported, and what of it is their own."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

INSTALLED = [Path(place) for place in sysconfig.get_paths().values()]
PYLOS = Path(__file__).parent


def is_foreign(file: Path) -> bool:
    """Whether a file is ours, Python's or an installed package's: also one of an environment that is not in use."""
    known = file.is_relative_to(PYLOS) or any(file.is_relative_to(place) for place in INSTALLED)
    return known or "site-packages" in file.parts


def own_files(packages: Collection[str] = ()) -> set[Path]:
    """Give the files of all that was imported and is the user's own: so is what `packages` hold, wherever they are."""
    own = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name.partition(".")[0] in packages or not is_foreign(Path(file))):
            own.add(Path(file))
    return own
