"""Documents and the tables that they become. The Rust tests compile the same tables.

After a change that is meant: `PYLOS_WRITE_GOLDEN=1 pytest tests/golden`, and read the difference.
"""

import json
import os
from pathlib import Path

import pytest

from pylos.config import load
from pylos.model import Table

FOLDER = Path(__file__).parent / "lower"
DOCUMENTS = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_becomes_its_table(document):
    golden = document.with_suffix(".json")
    table = json.dumps(load(document).table, indent=2, ensure_ascii=False) + "\n"

    if os.environ.get("PYLOS_WRITE_GOLDEN"):
        golden.write_text(table)
    assert table == golden.read_text()


def test_everything_says_every_key_and_no_default():
    config = load(FOLDER / "everything.toml").config
    made: dict[type[Table], set[str]] = {}
    for kind in (vars(config)["pylos"], *config.listen.values(), *config.upstream.values(), *config.policy.values()):
        note(kind, made)
    for route in config.route.values():
        note(route, made)

    unsaid = {
        f"{table.__name__}.{name}"
        for table in Table.__subclasses__()
        for name in table.model_fields.keys() - made[table]
    }
    assert unsaid == set()


def note(value: object, made: dict[type[Table], set[str]]) -> None:
    """Note which keys of which tables were written."""
    if isinstance(value, Table):
        made.setdefault(type(value), set()).update(value.model_fields_set)
        for name in value.model_fields_set:
            note(getattr(value, name), made)
    if isinstance(value, list):
        for inner in value:
            note(inner, made)
