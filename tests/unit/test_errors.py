import pytest

from pylos.errors import ConfigError, Place, Problem, spelled


@pytest.mark.parametrize(
    "path, text",
    [
        ((), ""),
        (("pylos",), "[pylos]"),
        (("pylos", "access_log", "path"), "[pylos] access_log.path"),
        (("listn",), "[listn]"),
        (("route", "site"), "[route.site]"),
        (("route", "site", "match", 0), "[route.site] match[0]"),
        (("upstream", "web", "targets", 1, "url"), "[upstream.web] targets[1].url"),
        (("policy", "a b", "request", "set", 'x"y'), '[policy."a b"] request.set."x\\"y"'),
    ],
)
def test_a_path_is_spelled_as_in_the_file(path, text):
    assert spelled(path) == text


@pytest.mark.parametrize(
    "place, said",
    [
        (Place("x.toml"), ["x.toml: error P000: no"]),
        (Place("x.py", 7, source="f(1)"), ["x.py:7: error P000: no", "    7 | f(1)"]),
        (
            Place("x.toml", 3, 5, 2, "a = 10"),
            ["x.toml:3:5: error P000: no", "    3 | a = 10", "      |     ^^"],
        ),
        (
            Place("x.toml", 3, 6, 99, "\ta = [1,"),  # a value of several lines; a tab keeps its width
            ["x.toml:3:6: error P000: no", "    3 | \ta = [1,", "      | \t    ^^^"],
        ),
        (
            Place("x.toml", 1, 2, 1, "a\x1b[31m"),  # nothing for the terminal to obey
            ["x.toml:1:2: error P000: no", "    1 | a\ufffd[31m", "      |  ^"],
        ),
        (Place("x.toml", 9, 4, 1, "a ="), ["x.toml:9:4: error P000: no", "    9 | a =", "      |    ^"]),
    ],
)
def test_a_place_is_shown(place, said):
    assert str(ConfigError([Problem("P000", "error", (), "no", None, place)])).splitlines() == said


def test_a_long_line_is_shown_around_its_place():
    head, line, caret = (
        Problem("P000", "warning", (), "no", "do", Place("x.toml", 1, 501, 4, "x" * 500 + "here" + "y" * 500))
        .render()
        .splitlines()[:3]
    )

    assert head == "x.toml:1:501: warning P000: no"
    assert len(line) < 140
    assert line[caret.index("^") :].startswith("here")
    assert caret.count("^") == 4


def test_all_problems_are_in_the_text():
    problems = [Problem(f"P00{number}", "error", (), "no", None, Place("x.toml")) for number in range(3)]
    error = ConfigError(problems)

    assert error.problems == problems
    assert str(error).splitlines() == [f"x.toml: error P00{number}: no" for number in range(3)]
