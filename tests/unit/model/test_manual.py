"""The docstring of a field is its manual: what it does, its default, an example that holds."""

import json
import re

import pytest
from pydantic import ValidationError

import pylos
from pylos import _core
from pylos.model import Secret, Table
from pylos.model.document import KINDS


def all_tables() -> list[type[Table]]:
    return sorted(leaves(Table), key=lambda table: table.__name__)


def leaves(table: type[Table]) -> list[type[Table]]:
    """The tables that are no base of others."""
    return [leaf for inner in table.__subclasses__() for leaf in leaves(inner)] or [table]


FIELDS = [(table, name) for table in all_tables() for name in table.model_fields]


@pytest.mark.parametrize("table, name", FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_field_tells_its_default_and_an_example(table, name):
    field = table.model_fields[name]
    manual = field.description or ""

    assert re.search(r"\bRequired\b", manual) if field.is_required() else re.search(r"\b(Default|Required)\b", manual)
    assert "Example: `" in manual


@pytest.mark.parametrize("table, name", FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_default_is_told_as_it_is(table, name):
    field = table.model_fields[name]
    manual = field.description or ""
    if field.is_required() or isinstance(field.get_default(call_default_factory=True), Table | list | dict | None):
        return
    default = field.get_default(call_default_factory=True)

    spelled = json.dumps(default)
    assert spelled in manual.replace("`", "")


@pytest.mark.parametrize("table, name", FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_an_example_holds(table, name):
    example = re.search(r"Example: `(.*?)`", table.model_fields[name].description or "", re.DOTALL)[1]
    document, _ = _core.parse_toml(f"it = {example}" if example.startswith("{") else example)

    assert errors_at(table, document.get("it", document)) == []


SECRETS = {"P114"}
"""What an example names need not be there."""


def errors_at(table: type[Table], document: dict[str, object]) -> list[str]:
    """What is wrong with the keys of a document; what else the table requires does not matter."""
    try:
        table.model_validate(document)
    except ValidationError as error:
        return [one["msg"] for one in error.errors() if one["loc"] and one["type"] not in {"missing", *SECRETS}]
    return []


def test_every_table_can_be_made_from_python():
    tables = {table.__name__ for table in all_tables()}

    assert sorted(tables - set(pylos.__all__) - {Secret.__name__}) == []  # no key takes a secret yet
    assert sorted(model.__name__ for models in KINDS.values() for model in models if model not in all_tables()) == []
