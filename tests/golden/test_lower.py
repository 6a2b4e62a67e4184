"""Documents and the tables that they become. The Rust tests compile the same tables.

After a change that is meant: `PYLOS_WRITE_GOLDEN=1 pytest tests/golden`, and read the difference.
"""

import json
import os
from pathlib import Path

import pytest
from certificates import golden_documents

from pylos.config import load
from pylos.model import Secret, Table
from pylos.model.document import KINDS

FOLDER = Path(__file__).parent / "lower"
DOCUMENTS = sorted(FOLDER.glob("*.toml"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    golden_documents(tmp_path)
    monkeypatch.chdir(tmp_path)


def without_pem(table):
    """The table as a golden file has it: no certificate, and no key."""
    for tls in table["tls"].values():
        tls["certificates"] = [{**one, "chain": "PEM", "key": "PEM"} for one in tls["certificates"]]
        if client := tls["client"]:
            tls["client"] = {**client, "ca": "PEM", "crls": ["PEM" for _ in client["crls"]]}
    for outward in filter(None, (upstream["tls"] for upstream in table["upstream"].values())):
        if shown := outward["certificate"]:
            outward.update(ca="PEM", certificate={**shown, "chain": "PEM", "key": "PEM"})
    return table


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_becomes_its_table(document):
    golden = document.with_suffix(".json")
    table = json.dumps(without_pem(load(document.name).table), indent=2, ensure_ascii=False) + "\n"

    if os.environ.get("PYLOS_WRITE_GOLDEN"):
        golden.write_text(table)
    assert table == golden.read_text()


def test_what_comes_by_itself_stands_beside_the_table():
    golden = FOLDER.with_name("acme") / "everything.json"
    acme = json.dumps(load("everything.toml").acme, indent=2) + "\n"

    if os.environ.get("PYLOS_WRITE_GOLDEN"):
        golden.write_text(acme)
    assert acme == golden.read_text()


SECRETS = {"Listen.admin_token"}
"""Keys that are said elsewhere: a golden file holds no secret."""


def test_everything_says_every_key():
    made: dict[type[Table], set[str]] = {}
    for name in ("everything.toml", "python.toml"):
        config = load(name).config
        for kind in KINDS:
            tables = [config.pylos] if kind == "pylos" else getattr(config, kind).values()
            for table in tables:
                note(table, made)

    unsaid = {f"{table.__name__}.{name}" for table in leaves(Table) for name in table.model_fields.keys() - made[table]}
    assert unsaid == SECRETS


def leaves(table: type[Table]) -> list[type[Table]]:
    """The tables that a document can have: all but those that are only there to be built on, and secrets."""
    below = [leaf for inner in table.__subclasses__() for leaf in leaves(inner)]
    return below or [table] if table is not Secret else []


def note(value: object, made: dict[type[Table], set[str]]) -> None:
    """Note which keys of which tables were written."""
    if isinstance(value, Table):
        made.setdefault(type(value), set()).update(value.model_fields_set)
        for name in value.model_fields_set:
            note(getattr(value, name), made)
    if isinstance(value, list):
        for inner in value:
            note(inner, made)
    if isinstance(value, dict):
        for inner in value.values():
            note(inner, made)
