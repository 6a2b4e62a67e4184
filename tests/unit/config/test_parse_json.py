"""JSON with positions: what `json` reads, but strictly, and with the place of every key and value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylos.config import load_text
from pylos.config.parse_json import JsonError, parse_json
from pylos.errors import ConfigError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES, st.sampled_from([None, 0, 1, 2, "\t"]), st.booleans())
def test_it_reads_what_json_writes(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    found, positions = parse_json(text)

    assert json.dumps(found) == json.dumps(value)
    lines = text.split("\n")
    for path, key_line, key_column, key_length, line, column, length in positions:
        inner = value
        for step in path:
            inner = inner[step]
        here = lines[line - 1][column - 1 :]
        assert here.startswith(("{", "[")) if isinstance(inner, dict | list) else True
        if not isinstance(inner, dict | list):
            assert json.loads(here[:length]) == inner
        if isinstance(path[-1], str):
            key = lines[key_line - 1][key_column - 1 :][:key_length]
            assert json.loads(key) == path[-1]
        else:
            assert (key_line, key_column) == (line, column)


@given(st.text(alphabet='{}[]:,"\\ntrue01.eE+- \n\té\ud800/u', max_size=24))
def test_it_refuses_what_json_refuses(text):
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = ...
    try:
        found, _ = parse_json(text)
    except JsonError as refused:
        error = refused
    else:
        assert json.dumps(found) == json.dumps(wanted)
        return

    lines = text.split("\n")
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    assert wanted is ... or any(stricter in error.message for stricter in ("twice", "surrogate", "large"))


@pytest.mark.parametrize(
    "text, message, line, column",
    [
        ("", "the text ends where a value was expected", 1, 1),
        ("\n  ", "the text ends where a value was expected", 2, 3),
        ("nul", "a value was expected", 1, 1),
        ("NaN", "a value was expected", 1, 1),
        ("Infinity", "a value was expected", 1, 1),
        ("-Infinity", "a value was expected", 1, 1),
        ("01", "something stands behind the end of the document", 1, 2),
        ("1.", "something stands behind the end of the document", 1, 2),
        ("+1", "a value was expected", 1, 1),
        ("1e999", "a number that is too large", 1, 1),
        ("9" * 401, "a number with too many digits", 1, 1),
        ("\u0661", "a value was expected", 1, 1),
        ("\u00a01", "a value was expected", 1, 1),
        ('{"a": 1, "a": 2}', "this key stands twice in its object", 1, 10),
        ('{"a": 1, "\\u0061": 2}', "this key stands twice in its object", 1, 10),
        ('{"a": 1,}', "no comma before the end", 1, 8),
        ("[1,\n]", "no comma before the end", 1, 3),
        ("[1 2]", "a `,` or `]` was expected", 1, 4),
        ('{"a" 1}', "a `:` was expected", 1, 6),
        ("{a: 1}", "a key in quotes was expected", 1, 2),
        ("{'a': 1}", "a key in quotes was expected", 1, 2),
        ("[1", "the text ends where a `,` or `]` was expected", 1, 3),
        ('{"a": "b\n"}', "a control character in a string; it is written as an escape", 1, 9),
        ('"a', "this string has no end", 1, 1),
        (r'"\x"', "an escape that JSON does not have", 1, 2),
        (r'"\u12"', "an escape that JSON does not have", 1, 3),
        (r'"\ud800"', "half of a surrogate pair", 1, 1),
        ("// a comment\n{}", "a value was expected", 1, 1),
        ("{} {}", "something stands behind the end of the document", 1, 4),
        ("[" * 101, "nested deeper than 100 levels", 1, 101),
        ("[" * 100_000, "nested deeper than 100 levels", 1, 101),
    ],
)
def test_where_it_stops(text, message, line, column):
    with pytest.raises(JsonError) as caught:
        parse_json(text)

    error = caught.value
    assert (error.message, error.line, error.column) == (message, line, column)


def test_a_document_in_json():
    loaded = load_text('{"listen": {"a": {"bind": "127.0.0.1:0"}}, "pylos": {"workers": 2}}', "x.json")

    assert loaded.config.pylos.workers == 2


def test_a_mistake_in_json_stands_at_its_place():
    text = """\
{
  "listen": {"a": {"bind": "127.0.0.1:0"}},
  "route": {
    "site": {"match": ["/", 7], "too": "web"}
  },
  "upstream": {"web": {"targets": ["localhost:1"], "health": null}}
}
"""
    with pytest.raises(ConfigError) as caught:
        load_text(text, "x.json")

    told = [(one.code, str(one.place), one.place.length, one.message, one.hint) for one in caught.value.problems]
    assert told == [
        ("P104", "x.json:4:29", 1, "must be a string, not an integer", None),
        ("P102", "x.json:4:33", 5, "unknown key", "did you mean `to`?"),
        ("P104", "x.json:6:62", 4, "is null, and a configuration has no null", "leave the key out"),
    ]


def test_the_key_by_which_editors_find_the_schema():
    assert load_text('{"$schema": "./pylos.schema.json", "listen": {"a": {"bind": "127.0.0.1:0"}}}', "x.json")
    with pytest.raises(ConfigError):
        load_text('{"$schema": 1, "listen": {"a": {"bind": "127.0.0.1:0"}}}', "x.json")


def test_no_null_but_in_what_is_sent_as_it_is():
    route = '{"match": "/", "respond": {"json": [null, {"a": null}]}, "timeout": null, "use": [null]}'
    text = '{"listen": {"a": {"bind": "127.0.0.1:0"}}, "route": {"site": %s}}'
    with pytest.raises(ConfigError) as caught:
        load_text(text % route, "x.json")

    assert [(one.code, one.path[2:]) for one in caught.value.problems] == [("P104", ("timeout",)), ("P104", ("use", 0))]
    sound = route.partition(', "timeout"')[0] + "}"
    assert load_text(text % sound, "x.json").table["route"]["site"]["respond"]["body"] == '[null,{"a":null}]'


def test_what_is_no_json():
    with pytest.raises(ConfigError) as caught:
        load_text('{\n  "listen": {,}\n}\n', "x.json")

    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("P120", "x.json:2:14")
    assert (problem.message, problem.place.source) == ("a key in quotes was expected", '  "listen": {,}')


def test_a_document_is_an_object():
    with pytest.raises(ConfigError) as caught:
        load_text("[]", "x.json")

    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == ("P120", "must be an object of tables, not a list")
