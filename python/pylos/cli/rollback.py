"""`pylos rollback`: put a former configuration into use again."""

from __future__ import annotations

from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.reload import put_into_use
from pylos.cli.running import Name

Number = Annotated[
    int | None, typer.Argument(min=1, metavar="N", help="Which, by `pylos history`. Default: the one before.")
]


def rollback(number: Number = None, *, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """Put a former configuration of a running gateway into use again, without touching any file.

    It stays until the file changes, or until a reload: then what the file says counts again.

    [bold]Examples[/bold]

      pylos rollback

      pylos rollback 3 -n shop
    """
    put_into_use(name, {"type": "rollback", "number": number}, json=json)
