"""How a document is laid out, and that nothing else of it changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylos._core import parse_toml
from pylos.config import format as layout
from pylos.config.format import formatted
from pylos.errors import ConfigError, PylosError

ROOT = Path(__file__).parents[3]

TABLE = {
    "blanks around `=` and at the end of a line": ("a=1  \nb   =\t2\n", "a = 1\nb = 2\n"),
    "one blank line before a table": ("[a]\nx = 1\n[b]\n\n\n\n[c]\ny = 2", "[a]\nx = 1\n\n[b]\n\n[c]\ny = 2\n"),
    "none at the ends or behind a header": ("\n\n[a]\n\nx = 1\n\n\n", "[a]\nx = 1\n"),
    "at most one between keys": ("a = 1\n\n\n\nb = 2\nc = 3\n", "a = 1\n\nb = 2\nc = 3\n"),
    "a comment stays with its table": ("[a]\nx = 1\n# of b\n[b]\n", "[a]\nx = 1\n\n# of b\n[b]\n"),
    "a comment stays with its key": ("[a]\n# of x\nx = 1#here\n", "[a]\n# of x\nx = 1  #here\n"),
    "comments below each other stay so": ("a = 1    # x\nbcd = 2  # y\n", "a = 1    # x\nbcd = 2  # y\n"),
    "and move together": ("a=1 # x\nb=2 # y\n", "a = 1  # x\nb = 2  # y\n"),
    "others do not become so": ("a = 1 # x\nbcd = 2 # y\n", "a = 1  # x\nbcd = 2  # y\n"),
    "a comment keeps its column": ("a=1         # x\n", "a = 1       # x\n"),
    "headers and dotted keys": ("[ a . 'b c' ]\nx . y=1\n", "[a.'b c']\nx.y = 1\n"),
    "lists": ("a = [1,2 ,3,]\nb = [ ]\nc=[[1],[2]]\n", "a = [1, 2, 3]\nb = []\nc = [[1], [2]]\n"),
    "inline tables": ("a = {x=1,y={z=2}}\nb = {   }\n", "a = { x = 1, y = { z = 2 } }\nb = {}\n"),
    "a list over lines": ("a = [1,\n2]\n", "a = [\n    1,\n    2,\n]\n"),
    "comments in lists": (
        "a = [ # all\n 1, # one\n\n\n # two\n 2 # here\n , ]\n",
        "a = [\n    # all\n    1,  # one\n\n    # two\n    2,  # here\n]\n",
    ),
    "a list over lines in a list": ("a = [\n[\n1], [2]]", "a = [\n    [\n        1,\n    ],\n    [2],\n]\n"),
    "an inline table over lines": ("a = {\nx=1}", "a = {\n    x = 1,\n}\n"),
    "strings": ("a=\"x  =  1 # no\"\nb='''\n  [a]  \n'''\n", "a = \"x  =  1 # no\"\nb = '''\n  [a]  \n'''\n"),
    "quotes at the end of a string": ('a="""x"""""\nb=1', 'a = """x"""""\nb = 1\n'),
    "numbers and dates": ("a=1.5e3\nb=1979-05-27 07:32:00\nc=+inf", "a = 1.5e3\nb = 1979-05-27 07:32:00\nc = +inf\n"),
    "line ends of another system": (
        "a=1\r\n\r\n\r\nb = [1,\r\n2]\r\n",
        "a = 1\r\n\r\nb = [\r\n    1,\r\n    2,\r\n]\r\n",
    ),
    "nothing": ("\n \n", ""),
}


@pytest.mark.parametrize("text, laid_out", TABLE.values(), ids=TABLE.keys())
def test_the_layout(text, laid_out):
    assert formatted(text, "x.toml") == laid_out
    assert formatted(laid_out, "x.toml") == laid_out


def test_a_text_that_is_no_toml_is_refused():
    with pytest.raises(ConfigError) as caught:
        formatted("a = \n", "x.toml")

    assert [problem.code for problem in caught.value.problems] == ["P101"]


def test_a_layout_that_would_mean_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(layout, "spaced", lambda lines: iter(lines[:-1]))

    with pytest.raises(PylosError, match="would mean something else"):
        formatted("a = 1\nb = 2\n", "x.toml")


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.toml")), ids=lambda path: path.parent.name)
def test_the_examples_are_laid_out(path):
    assert formatted(path.read_text(), path.name) == path.read_text()


# -- any document ------------------------------------------------------------------------------------------------------

blank = st.sampled_from(["", " ", "  ", "\t"])
end = st.sampled_from(["\n", "\n\n", " \n", "\n\n\n \n", "\n  "])
remark = st.sampled_from(["", "# a", "#", "  # = [ ] { } ' \" ,"])
line_end = st.builds(lambda b, r, e: b + r + (e if "\n" in e else "\n"), blank, remark, end)
gap = st.one_of(blank, st.builds("".join, st.lists(line_end, max_size=3)))
plain = st.sampled_from(["1", "-2.5", "true", "1979-05-27", "1979-05-27 07:32:00Z", "0xff", "nan", "inf"])
texts = st.sampled_from(
    [
        "''",
        '""',
        "'a # b'",
        '"\\" [x]"',
        '"""a\n\n [b]\n"""',
        "'''\n # c '' '''",
        '"""\\\n  x"""',
        '"""a""""',
        '"é = {"',
    ]
)
scalar = plain | texts
key = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "h . i", "j.k", "1", '"l # m"'])


@st.composite
def keys(draw, value, sep):
    """Some keys with values, none of them twice."""
    names = draw(st.lists(key, max_size=4, unique=True))
    return [f"{name}{draw(blank)}={draw(blank)}{draw(value)}{draw(sep)}" for name in names]


def lists(inner):
    entry = st.builds(lambda a, value, b: a + value + b, gap, inner, gap)
    return st.builds(
        lambda entries, comma, last: "[" + ",".join(entries) + ("," * (comma and bool(entries))) + last + "]",
        st.lists(entry, max_size=4),
        st.booleans(),
        gap,
    )


def tables(inner):
    return keys(inner, blank).map(lambda entries: "{ " + ", ".join(entries) + "}")


value = st.recursive(scalar, lambda inner: lists(inner) | tables(inner), max_leaves=8)


@st.composite
def documents(draw):
    """Tables of keys, with blanks, blank lines and comments wherever they may stand."""
    parts = draw(keys(value, line_end))
    for number in range(draw(st.integers(0, 3))):
        parts += [draw(line_end), f"[t{number}.x]{draw(line_end)}", *draw(keys(value, line_end))]
    return "".join(draw(blank) + part for part in parts)


def comments(text: str) -> list[str]:
    """All that follows a `#`, whether it is a comment or not, as words."""
    return [piece.split("\n")[0].rstrip() for piece in text.split("#")[1:]]


@given(documents())
def test_nothing_else_changes(text):
    laid_out = formatted(text, "x.toml")

    assert repr(parse_toml(laid_out)[0]) == repr(parse_toml(text)[0])
    assert repr(tomllib.loads(laid_out)) == repr(tomllib.loads(text))
    assert formatted(laid_out, "x.toml") == laid_out
    assert len(comments(laid_out)) == len(comments(text))
    assert [line for line in laid_out.splitlines() if line.startswith(" [")] == [
        line for line in text.splitlines() if line.startswith(" [b")
    ]
