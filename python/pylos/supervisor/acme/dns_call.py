"""The process that calls a Python function for dns-01: `python -P dns_call.py FOLDER M:F add|remove NAME VALUE`.

It is code of users: before it is imported, the rights of root are given up, as for configurations and policies. FOLDER
is looked in last, so that nothing in it takes the place of a module of Python's or of a package's.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from pathlib import Path

from pylos.rights import give_up_root


def main(arguments: list[str]) -> int:
    """Call it. A function that raises ends the process with its traceback, which becomes the error's text."""
    folder, where, action, name, value = arguments
    module, _, attribute = where.partition(":")
    give_up_root([Path(folder)])
    sys.path.append(folder)
    function = getattr(importlib.import_module(module), attribute)
    result = function(action, name, value)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
