"""`pylos schema`: the JSON Schema of a configuration, for editors."""

from __future__ import annotations

from pylos.cli.output import show_json
from pylos.config.schema import schema as schema_of_document


def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of a configuration, for editors that complete and check TOML or JSON.

    An editor finds it by the first line of a file: `#:schema ./pylos.schema.json`.

    [bold]Examples[/bold]

      pylos schema > pylos.schema.json
    """
    show_json(schema_of_document())
