"""docs/reference.md is what the models say."""

from __future__ import annotations

import importlib.util

from manual_pages import ROOT

from pylos.model import Table


def test_the_page_is_current():
    path = ROOT / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert (ROOT / "docs" / "reference.md").read_text() == generate.page(), "run: python docs/generate.py"


def test_every_table_is_in_it():
    page = (ROOT / "docs" / "reference.md").read_text()

    assert [table.__name__ for table in Table.__subclasses__() if f"`pylos.{table.__name__}`" not in page] == []
