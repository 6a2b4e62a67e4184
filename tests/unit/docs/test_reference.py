"""What docs/generate.py makes is what lies in docs/."""

from __future__ import annotations

from pathlib import Path

import pytest
from generated import generate
from manual_pages import ROOT

from pylos.model import Secret, Table

PAGES: dict[Path, str] = generate().pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_made_is_current(path):
    assert path.read_text() == PAGES[path], "run: python docs/generate.py"


def test_nothing_is_left_of_former_runs():
    assert set((ROOT / "docs" / "errors").glob("*")) - PAGES.keys() == set()


def test_every_table_is_in_the_reference():
    page = (ROOT / "docs" / "reference.md").read_text()

    assert [table.__name__ for table in tables() if f"`pylos.{table.__name__}`" not in page] == []


def test_every_key_is_in_the_reference_with_default_and_example():
    page = (ROOT / "docs" / "reference.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]

    assert [row for row in rows if len(row) != 5 or not all(cell.strip(" |") for cell in row)] == []
    keys = {field.alias or name for table in tables() for name, field in table.model_fields.items()}
    assert keys - {row[0].strip("|` ") for row in rows} == set()


def tables() -> list[type[Table]]:
    """All tables but those that others only share their keys with."""
    every = [table for base in Table.__subclasses__() for table in (base.__subclasses__() or [base])]
    return [table for table in every if table is not Secret]  # no key takes a secret yet
