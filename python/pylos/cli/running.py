"""The option that says which running gateway is meant."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[
    str, typer.Option("--name", "-n", metavar="NAME", help="The gateway's name, where several run on one machine.")
]
