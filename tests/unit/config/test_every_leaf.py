"""A mistake at any leaf of a document is one error, with the right code, at the right line and column.

The document is tests/golden/lower/everything.toml, written with inline tables, through an include, in JSON and in
Python. The mistakes are: a value of a wrong type, a misspelled key, a required key that is missing.
"""

import copy
import json
import re
from pathlib import Path

import pytest
from certificates import golden_certificates

import pylos
from pylos.config import load, load_text
from pylos.config.parse import parse
from pylos.errors import ConfigError
from pylos.model.document import KINDS
from pylos.model.policy import POLICIES

TEXT = (Path(__file__).parents[2] / "golden/lower/everything.toml").read_text(encoding="utf-8")
DOCUMENT, _ = parse(TEXT, "x.toml")

# Keys of these tables are names that the user gives, and values of these keys are whatever the user gives.
NAMES = {"header", "query", "cookie", "headers", "set", "add", "given"}
ANYTHING = {"json", "claims"}


def tables(value, path=()):
    """All tables whose keys are those of the language."""
    if isinstance(value, dict) and not {*path[2:]} & ANYTHING:
        if (len(path) > 1 or path == ("pylos",)) and not (path[-1] in NAMES and len(path) > 2):
            yield path, value
        for key, inner in value.items():
            yield from tables(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from tables(inner, (*path, index))


def leaves(value, path=()):
    """All values that are no tables, whatever their key is."""
    if {*path[2:]} & ANYTHING:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
        return
    yield path
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


KEYS = [(*path, key) for path, table in tables(DOCUMENT) for key in table]
LEAVES = list(leaves(DOCUMENT))


def at(document, path):
    for step in path:
        document = document[step]
    return document


def changed(path, value):
    """The document with another value at a place."""
    document = copy.deepcopy(DOCUMENT)
    at(document, path[:-1])[path[-1]] = value
    return document


def renamed(path, key):
    """The document with another key at a place, where the old one stood."""
    document = copy.deepcopy(DOCUMENT)
    table = at(document, path[:-1])
    entries = [(key if name == path[-1] else name, value) for name, value in table.items()]
    table.clear()
    table.update(entries)
    return document


def without(path):
    """The document without a key."""
    document = copy.deepcopy(DOCUMENT)
    del at(document, path[:-1])[path[-1]]
    return document


def wrong_for(value):
    """A value of a type that cannot stand where this one does."""
    if isinstance(value, float):
        return "x"
    return 1.5 if value is not None else None


def misspelled(key):
    """A key that is not quite this one, and like no other."""
    return f"{key}x" if len(key) > 4 else f"{key}{key[-1]}"


# -- ways to write a document -----------------------------------------------------------------------------------------


class Toml:
    """One table a header, tables in it inline, one key a line."""

    name = "x.toml"
    step = 1
    """Every how manieth place is tried."""

    def write(self, document):
        lines, self.places = [], {}
        for kind, named in document.items():
            for name, table in [(None, named)] if kind == "pylos" else named.items():
                path = (kind,) if name is None else (kind, name)
                lines.append(f"[{'.'.join(path)}]")
                self.places[path] = len(lines), len(lines[-1]) - len(path[-1])
                for key, value in table.items():
                    self.line = len(lines) + 1
                    self.text = ""
                    self.entry((*path, key), value)
                    lines.append(self.text)
        return "\n".join(lines) + "\n"

    def entry(self, path, value):
        key = path[-1] if re.fullmatch(r"[\w-]+", path[-1]) else json.dumps(path[-1])
        self.places[path, "key"] = self.line, len(self.text) + 1
        self.text += f"{key} = "
        self.value(path, value)

    def value(self, path, value):
        self.places[path] = self.line, len(self.text) + 1
        if isinstance(value, dict):
            self.text += "{ "
            for number, (key, inner) in enumerate(value.items()):
                self.text += ", " if number else ""
                self.entry((*path, key), inner)
            self.text += " }"
        elif isinstance(value, list):
            self.text += "["
            for index, inner in enumerate(value):
                self.text += ", " if index else ""
                self.value((*path, index), inner)
            self.text += "]"
        else:
            self.text += json.dumps(value, ensure_ascii=False)

    def key_place(self, path):
        return self.places.get((path, "key")) or self.places[path]

    def problems(self, document):
        return problems_of(lambda: load_text(self.write(document), self.name))


class Json(Toml):
    """All on one line, but for the tables."""

    name = "x.json"

    def write(self, document):
        self.places, lines, self.line = {}, [], 1
        self.text = "{"
        for number, (kind, named) in enumerate(document.items()):
            self.text += "," if number else ""
            self.place_key((kind,))
            if kind == "pylos":
                self.value((kind,), named)
            else:
                self.text += "{"
                for count, (name, table) in enumerate(named.items()):
                    lines.append(self.text + ("," if count else ""))
                    self.line, self.text = self.line + 1, "  "
                    self.place_key((kind, name))
                    self.value((kind, name), table)
                self.text += "}"
        return "\n".join([*lines, self.text + "}", ""])

    def place_key(self, path):
        self.places[path, "key"] = self.line, len(self.text) + 1
        self.text += f"{json.dumps(path[-1], ensure_ascii=False)}: "

    def entry(self, path, value):
        self.place_key(path)
        self.value(path, value)


class Included(Toml):
    """All of it in a file that another includes."""

    name = "part.toml"
    step = 4

    def problems(self, document):
        Path("part.toml").write_text(self.write(document), encoding="utf-8")
        Path("main.toml").write_text('include = ["part.toml"]\n')
        return problems_of(lambda: load("main.toml"))


MODELS = {kind: models[0] for kind, models in KINDS.items()}


class Twin:
    """Every table made by a call on a line of its own."""

    name = "<twin>"
    step = 1

    def problems(self, document):
        lines = ["import pylos, pylos.model as model", "config = pylos.Config("]
        self.lines = {}
        for kind, named in document.items():
            if kind in ("pylos", "defaults"):
                lines.append(f"    {kind}={named!r},")
                self.lines[kind,] = 2
                continue
            lines.append(f"    {kind}={{")
            for name, table in named.items():
                lines.append(f"        {name!r}: {self.call(kind, table)},")
                self.lines[kind, name] = len(lines)
            lines.append("    },")
        lines.append(")")
        code = compile("\n".join(lines), self.name, "exec")
        return problems_of(lambda: exec(code, {}))  # noqa: S102 - a program of ours

    def call(self, kind, table):
        model = MODELS.get(kind)
        if kind == "policy":
            model = POLICIES.get(table.get("type"))
        if model is None:
            return repr(table)
        return f"model.{model.__name__}(**{table!r})"


def problems_of(run):
    with pytest.raises(ConfigError) as caught:
        run()
    return caught.value.problems


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    golden_certificates(tmp_path)


WRITERS = [Toml, Json, Included]


def check(writer, document, path, code, part):
    """There is exactly this error, at this place, in words of the language."""
    problems = writer.problems(document)
    told = [(problem.code, problem.path) for problem in problems]
    assert told == [(code, path)]
    (problem,) = problems
    assert problem.place.file == writer.name
    if isinstance(writer, Twin):
        table = path[:1] if path[0] in ("pylos", "defaults") else path[:2]
        assert problem.place.line in {writer.lines[table], 2}
    else:
        place = writer.key_place(path) if part == "key" else writer.places[path]
        assert (problem.place.line, problem.place.column) == place
    speaks_to_the_user(problem)


def speaks_to_the_user(problem):
    said = problem.render()
    assert re.search(r"pydantic|Traceback|validat|Input should|extra_forbidden|\\0|NoneType", said) is None


# -- the mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [*WRITERS, Twin], ids=lambda writer: writer.__name__)
def test_a_value_of_a_wrong_type(writer):
    for path in LEAVES[:: writer.step]:
        check(writer(), changed(path, wrong_for(at(DOCUMENT, path))), path, code_of_wrong(path), "value")


def code_of_wrong(path):
    """The code for a number where something else stands: of a duration, size or rate that it has no unit."""
    value = at(DOCUMENT, path)
    is_quantity = isinstance(value, str) and re.fullmatch(r"[0-9]+(ms|s|m|h|B|KB|KiB|MB|MiB|/s|/min|%)", value)
    return "P109" if is_quantity else "P104"


@pytest.mark.parametrize("writer", [*WRITERS, Twin], ids=lambda writer: writer.__name__)
def test_a_misspelled_key(writer):
    for path in KEYS[:: writer.step]:
        wrong = (*path[:-1], misspelled(path[-1]))
        check(writer(), renamed(path, wrong[-1]), wrong, "P102", "key")


REQUIRED = [
    ("listen", "http", "bind"),
    ("tls", "shop", "cert"),
    ("tls", "blog", "cert"),
    ("upstream", "web", "targets"),
    ("upstream", "web", "targets", 4, "url"),
    ("policy", "shield", "type"),
    ("policy", "edge", "use"),
    ("policy", "per_client", "rate"),
    ("route", "site", "match"),
    ("route", "site", "to"),
    ("route", "moved", "redirect"),
    ("route", "text", "respond"),
    ("route", "found", "redirect", "to"),
    ("route", "by_expression", "rewrite", "re"),
    ("route", "by_expression", "rewrite", "to"),
    ("test", "others_are_refused", "request"),
    ("test", "others_are_refused", "expect"),
    ("test", "site_takes_the_beta", "as", "id"),
]


@pytest.mark.parametrize("writer", [*WRITERS, Twin], ids=lambda writer: writer.__name__)
@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_required_key_that_is_missing(writer, path):
    check(writer(), without(path), path[:-1], "P105", "key")


def test_the_document_itself_is_sound():
    code = compile("pylos.Config(**document)", "here.py", "eval")  # where relative paths start
    made = eval(code, {"pylos": pylos, "document": DOCUMENT})  # noqa: S307 - a program of ours
    assert made.loaded.table == load_text(TEXT, "x.toml").table
    for writer in (Toml(), Json()):
        assert load_text(writer.write(DOCUMENT), writer.name).table == load_text(TEXT, "x.toml").table
