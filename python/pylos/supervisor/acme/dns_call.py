"""The process that calls a Python function for dns-01: `python -P dns_call.py M:F add|remove NAME VALUE`."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys


def main(arguments: list[str]) -> int:
    """Call it. A function that raises ends the process with its traceback, which becomes the error's text."""
    where, action, name, value = arguments
    module, _, attribute = where.partition(":")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109, a text is what belongs there
    function = getattr(importlib.import_module(module), attribute)
    result = function(action, name, value)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
