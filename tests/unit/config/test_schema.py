"""The JSON Schema takes what loads, and refuses what the form of a document forbids."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pylos.config.codes import MANUALS
from pylos.config.schema import schema
from pylos.model.document import KINDS

ROOT = Path(__file__).parents[3]
SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = sorted([*ROOT.glob("examples/*/*.toml"), *ROOT.glob("tests/golden/lower/*.toml")])
LISTEN = {"http": {"bind": "127.0.0.1:0"}}


def said(document: object) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_file_is_current():
    assert json.loads((ROOT / "docs" / "schema.json").read_text()) == SCHEMA, "run: python docs/generate.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sound_file_is_taken(path):
    assert said(tomllib.loads(path.read_text())) == []


RIGHT = {code: manual.right for code, manual in MANUALS.items() if manual.right and manual.right.name != "gateway.py"}
OF_FORM = ["P102", "P103", "P104", "P106", "P109", "P110"]
"""Codes whose examples are wrong in a way that a schema can tell."""


@pytest.mark.parametrize("example", RIGHT.values(), ids=RIGHT.keys())
def test_the_right_examples_of_the_manual_are_taken(example):
    assert said((json if example.name.endswith(".json") else tomllib).loads(example.text)) == []


@pytest.mark.parametrize("code", OF_FORM)
def test_the_wrong_examples_of_the_manual_are_refused(code):
    assert said(tomllib.loads(MANUALS[code].wrong.text)) != []


@pytest.mark.parametrize(
    "document, taken",
    [
        ({"listen": {"http": {}}}, False),
        ({"listen": {"http": {}}, "defaults": {"listen": {"bind": "127.0.0.1:0"}}}, True),
        ({"listen": {"http": {}}, "defaults": {"listen": {}}}, False),
        ({"listen": LISTEN, "defaults": {"policy": {}}}, False),
        ({"listen": {"a b": {"bind": "x:1"}}}, False),
        ({"listen": LISTEN, "pylos": {"drain": "${DRAIN}"}}, True),
        ({"listen": LISTEN, "pylos": {"drain": "${DRAIN:-3}s"}}, True),
        ({"listen": LISTEN, "pylos": {"drain": "3"}}, False),
        ({"listen": LISTEN, "pylos": {"drain": 3}}, False),
        ({"listen": LISTEN, "pylos": {"workers": 0}}, False),
        ({"listen": LISTEN, "pylos": {"workers": 1.5}}, False),
        ({"listen": LISTEN, "policy": {"x": {}}}, False),
        ({"listen": LISTEN, "policy": {"x": {"type": "headers", "preset": "${PRESET}"}}}, True),
        ({"listen": LISTEN, "policy": {"x": {"type": "headers", "deny_ip": []}}}, False),
        ({"listen": LISTEN, "policy": {"x": {"type": "filter", "deny_ip": []}}}, True),
        ({"listen": LISTEN, "policy": {"x": {"type": "filter", "enforce": 101}}}, False),
        ({"listen": LISTEN, "upstream": {"x": {"targets": []}}}, False),
        ({"listen": LISTEN, "upstream": {"x": {"targets": [{"url": "x:1"}], "health": False}}}, True),
        ({"listen": LISTEN, "upstream": {"x": {"targets": ["x:1"], "health": True}}}, False),
        ({"listen": LISTEN, "route": {"x": {"match": "/", "respond": {"json": [None, 1]}}}}, True),
        ({"listen": LISTEN, "test": {"x": {"request": "GET /", "expect": {"headers": {"x": False}}}}}, True),
        ({"include": ["a.toml"]}, True),
        ({"include": "a.toml"}, False),
    ],
)
def test_what_is_taken(document, taken):
    assert (said(document) == []) == taken


def test_every_kind_and_every_key_has_its_description():
    assert KINDS.keys() <= SCHEMA["properties"].keys()
    keys = {
        f"{name}.{key}": described.get("description")
        for name, table in SCHEMA["$defs"].items()
        for key, described in table["properties"].items()
    }
    assert len(keys) > 90
    assert [key for key, manual in keys.items() if not manual] == []


def test_every_example_is_taken_where_it_stands():
    wrong = []
    for name, table in SCHEMA["$defs"].items():
        for key, described in table["properties"].items():
            validator = Draft202012Validator({**described, "$defs": SCHEMA["$defs"]})
            told = [*described["examples"], *([described["default"]] if "default" in described else [])]
            wrong += [(name, key, value) for value in told if not validator.is_valid(value)]
    assert wrong == []
