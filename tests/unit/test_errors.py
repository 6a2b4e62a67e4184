import json
import re
from dataclasses import asdict

import pytest

from pylos.errors import ConfigError, Place, Problem, spelled


@pytest.mark.parametrize(
    "path, text",
    [
        ((), ""),
        (("pylos",), "[pylos]"),
        (("pylos", "access_log", "path"), "[pylos] access_log.path"),
        (("listn",), "[listn]"),
        (("include",), "include"),
        (("include", 0), "include[0]"),
        (("route", "site"), "[route.site]"),
        (("route", "site", "match", 0), "[route.site] match[0]"),
        (("upstream", "web", "targets", 1, "url"), "[upstream.web] targets[1].url"),
        (("policy", "a b", "request", "set", 'x"y'), '[policy."a b"] request.set."x\\"y"'),
    ],
)
def test_a_path_is_spelled_as_in_the_file(path, text):
    assert spelled(path) == text


@pytest.mark.parametrize(
    "place, shown",
    [
        (Place("x.toml"), [" --> x.toml"]),
        (Place("x.py", 7, source="f(1)"), [" --> x.py:7", "  |", "7 | f(1)", "  |"]),
        (Place("x.toml", 3, 5, 2, "a = 10"), [" --> x.toml:3:5", "  |", "3 | a = 10", "  |     ^^", "  |"]),
        (
            Place("x.toml", 3, 6, 99, "\ta = [1,"),  # a value of several lines; a tab keeps its width
            [" --> x.toml:3:6", "  |", "3 | \ta = [1,", "  | \t    ^^^", "  |"],
        ),
        (
            Place("x.toml", 1, 2, 1, "a\x1b[31m"),  # nothing for the terminal to obey
            [" --> x.toml:1:2", "  |", "1 | a\ufffd[31m", "  |  ^", "  |"],
        ),
        (Place("x.toml", 9, 4, 1, "a ="), [" --> x.toml:9:4", "  |", "9 | a =", "  |    ^", "  |"]),
        (
            Place("x.toml", 1234, 1, 1, "a"),  # a wider gutter
            ["    --> x.toml:1234:1", "     |", "1234 | a", "     | ^", "     |"],
        ),
    ],
)
def test_a_place_is_shown(place, shown):
    head, *lines, see = str(ConfigError([Problem("P000", "error", (), "no", None, place)])).splitlines()

    assert (head, lines) == ("error[P000]: no", shown)
    assert see.strip() == "= see: pylos check --explain P000"


def test_a_problem_says_which_key_and_what_to_do():
    place = Place("x.toml", 3, 5, 2, "a = 10")
    said = Problem("P000", "error", ("route", "x", "a"), "no", "first\n        second", place).render()

    assert said.splitlines() == [
        "error[P000]: [route.x] a: no",
        " --> x.toml:3:5",
        "  |",
        "3 | a = 10",
        "  |     ^^",
        "  |",
        "  = help: first",
        "          second",
        "  = see: pylos check --explain P000",
    ]


@pytest.mark.parametrize("place", [Place("x.toml"), Place("x.py", 5, source="f(1)"), Place("x.py", 5, 3)])
def test_a_key_without_a_caret_is_named_too(place):
    said = Problem("P000", "warning", ("route", "x"), "no", None, place).render()

    assert said.splitlines()[0] == "warning[P000]: [route.x]: no"
    assert "^" not in said


def test_further_places_are_shown_below():
    first, other = Place("a.toml", 2, 1, 1, "a = 1"), Place("b.toml", 12, 5, 3, "b = two")
    said = Problem("P000", "error", ("a",), "no", None, first, ((other, "the other"), (Place("c.toml"), ""))).render()

    assert said.splitlines() == [
        "error[P000]: [a]: no",
        "  --> a.toml:2:1",
        "   |",
        " 2 | a = 1",
        "   | ^",
        "   |",
        "  ::: b.toml:12:5",
        "   |",
        "12 | b = two",
        "   |     --- the other",
        "   |",
        "  ::: c.toml",
        "   |",
        "   = see: pylos check --explain P000",
    ]


def test_what_a_terminal_would_obey_is_replaced_everywhere():
    place = Place("x\x1b.toml", 1, 1, 1, "a")
    said = Problem("P000", "error", ("a\x1b",), "no\x1b[2J", "do\x07", place, ((place, "l\x9b"),)).render()

    assert not any(character in said for character in "\x1b\x07\x9b")


def test_a_long_line_is_shown_around_its_place():
    place = Place("x.toml", 1, 501, 4, "x" * 500 + "here" + "y" * 500)
    head, where, _, line, caret, *_ = Problem("P000", "warning", (), "no", "do", place).render().splitlines()

    assert (head, where) == ("warning[P000]: no", " --> x.toml:1:501")
    assert len(line) < 140
    assert line[caret.index("^") :].startswith("here")
    assert caret.count("^") == 4


def test_all_problems_are_in_the_text():
    problems = [Problem(f"P00{number}", "error", (), "no", None, Place("x.toml")) for number in range(3)]
    error = ConfigError(problems)

    assert error.problems == problems
    assert [part.splitlines()[0] for part in str(error).split("\n\n")] == [
        f"error[P00{number}]: no" for number in range(3)
    ]


def test_where_to_read_on_is_told_once_for_each_code():
    problems = [Problem(code, "error", (), "no", None, Place("x.toml", 1, 1, 1, "a")) for code in ("P1", "P2", "P1")]

    assert re.findall("--explain (P.)", str(ConfigError(problems))) == ["P1", "P2"]
    assert str(ConfigError(problems)).endswith("1 | a\n  | ^")


def test_colours_change_no_letter():
    place = Place("x.toml", 3, 5, 2, "a = 10")
    problem = Problem("P000", "error", ("a",), "no", "do", place, ((place, "other"),))
    roles = set()

    def paint(role: str, text: str) -> str:
        roles.add(role)
        return f"<{text}>"

    assert (
        re.sub("<([^<>]*)>", r"\1", problem.render(paint).replace("-->", "--}")).replace("--}", "-->")
        == problem.render()
    )
    assert roles == {"error", "also", "gutter"}


def test_a_problem_comes_back_from_json():
    place, other = Place("a.toml", 3, 5, 2, "  to"), Place("b.toml", 7)
    problem = Problem("P202", "error", ("route", "a", "match", 0), "two", "one", place, ((other, "the other route"),))
    told = json.loads(json.dumps(asdict(problem)))

    assert Problem.from_json(told) == problem
    renamed = Problem.from_json(told, lambda plain: Place("c.toml", plain["line"]))
    assert [str(one) for one in (renamed.place, renamed.also[0][0])] == ["c.toml:3", "c.toml:7"]
