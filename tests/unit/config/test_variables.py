"""`${VAR}` in strings: what stands there instead, and where it is told that nothing can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pylos
from pylos.config import load_text, proxy_to
from pylos.errors import ConfigError, Place

REST = '[listen.http]\nbind = "127.0.0.1:0"\n[route.a]\nmatch = "/"\n'


def text_of(spelled, environ):
    loaded = load_text(f"{REST}respond = {{ text = {spelled} }}", "x.toml", environ=environ)
    return loaded.config.route["a"].respond.text


@pytest.mark.parametrize(
    "spelled, environ, meant",
    [
        ('"${A}"', {"A": "x"}, "x"),
        ('"<${A}-${B}>"', {"A": "1", "B": "2"}, "<1-2>"),
        ('"${A}"', {"A": ""}, ""),
        ('"${A:-d}"', {}, "d"),
        ('"${A:-d}"', {"A": ""}, "d"),
        ('"${A:-d}"', {"A": "x"}, "x"),
        ('"${A:-}"', {}, ""),
        ('"${A:-a:-b}"', {}, "a:-b"),
        ('"$${A}"', {"A": "x"}, "${A}"),
        ('"$$${A}"', {"A": "x"}, "$${A}"),
        ('"$A $ $1 $$ {A} }"', {"A": "x"}, "$A $ $1 $$ {A} }"),
        ("'''\n${A}\n'''", {"A": "x"}, "x\n"),
        ('"${A}"', {"A": "${B}", "B": "x"}, "${B}"),
        ('"${A}"', {"A": '" }\n[pylos]\nworkers = 0'}, '" }\n[pylos]\nworkers = 0'),
    ],
)
def test_what_a_string_means(spelled, environ, meant):
    assert text_of(spelled, environ) == meant


@given(st.text())
def test_a_variable_is_data_whatever_is_in_it(value):
    assert text_of('"${A}"', {"A": value}) == value


@pytest.mark.parametrize(
    "spelled, message, line, column, length",
    [
        ('"${A}"', "the variable `A` is not set", 5, 21, 4),
        ('"é $${B} ${A}"', "the variable `A` is not set", 5, 29, 4),
        ('"${OK}${A}"', "the variable `A` is not set", 5, 26, 4),
        ("'''\nab ${A}\n'''", "the variable `A` is not set", 6, 4, 4),
        ('"""\n\nab ${OK} ${A}\n"""', "the variable `A` is not set", 7, 10, 4),
        ('"\\u0024{A}"', "the variable `A` is not set", 5, 20, 11),
        ('"${1}"', "cannot read this `${`", 5, 21, 2),
        ('"${A"', "cannot read this `${`", 5, 21, 2),
        ('"${A-x}"', "cannot read this `${`", 5, 21, 2),
        ('"${}"', "cannot read this `${`", 5, 21, 2),
        ('"${A:-${OK}}"', "a default holds no variable", 5, 21, 10),
        ('"${BAD}"', "the variable `BAD` holds no valid Unicode", 5, 21, 6),
    ],
)
def test_where_it_is_told_that_nothing_can_stand_there(spelled, message, line, column, length):
    with pytest.raises(ConfigError) as caught:
        text_of(spelled, {"OK": "ok", "BAD": "\udcff"})

    (problem,) = caught.value.problems
    place = problem.place
    assert (problem.code, problem.message) == ("P111", message)
    assert (place.line, place.column, place.length) == (line, column, length)


def test_every_one_is_told_and_nothing_that_follows_from_it():
    document = """\
[listen.http]
bind = "${HOST}:${PORT}"
[route.a]
match = "${MATCH}"
to = "${TO}"
timeout = "${TIMEOUT}"
[policy.a]
type = "${TYPE}"
[upstream.a]
targets = [{ url = "${URL}" }, "${URL}"]
"""
    with pytest.raises(ConfigError) as caught:
        load_text(document, "x.toml", environ={})

    told = [(problem.code, problem.place.line, problem.place.column) for problem in caught.value.problems]
    assert told == [
        ("P111", 2, 9),
        ("P111", 2, 17),
        ("P111", 4, 10),
        ("P111", 5, 7),
        ("P111", 6, 12),
        ("P111", 8, 9),
        ("P111", 10, 21),
        ("P111", 10, 33),
    ]


def test_a_key_has_no_variables():
    loaded = load_text(f'{REST}respond = {{ json = {{ "${{A}}" = 1 }} }}', "x.toml", environ={})

    assert loaded.config.route["a"].respond.json_ == {"${A}": 1}


def test_what_a_variable_names_is_checked():
    with pytest.raises(ConfigError) as caught:
        load_text(f'{REST}to = "${{UP}}"', "x.toml", environ={"UP": "wbe"})

    assert caught.value.problems[0].message == "there is no upstream `wbe`"


def test_a_number_does_not_come_from_a_variable():
    with pytest.raises(ConfigError) as caught:
        load_text(f'[pylos]\nworkers = "${{N}}"\n{REST}respond = {{}}', "x.toml", environ={"N": "2"})

    assert [problem.code for problem in caught.value.problems] == ["P104"]


def test_the_twin_has_them_too(monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_TEXT", "${x}")
    respond = pylos.Respond(text="${PYLOS_TEST_TEXT} $${y}")
    config = pylos.Config(
        listen={"http": pylos.Listen(bind="127.0.0.1:0")}, route={"a": pylos.Route(match="/", respond=respond)}
    )

    assert config.loaded.config.route["a"].respond.text == "${x} ${y}"
    again = pylos.Config(listen=config.loaded.config.listen, route=config.loaded.config.route)
    assert again.loaded.table == config.loaded.table


def test_the_twin_tells_the_line_of_the_call():
    with pytest.raises(ConfigError) as caught:
        pylos.Config(listen={"http": pylos.Listen(bind="${PYLOS_TEST_UNSET}")})

    (problem,) = caught.value.problems
    assert (problem.code, problem.place.file) == ("P111", __file__)
    assert "PYLOS_TEST_UNSET" in problem.place.source


def test_the_command_line_has_none():
    with pytest.raises(ConfigError) as caught:
        proxy_to(["http://${HOST}"], "127.0.0.1:0", Place("command line"))

    assert [problem.code for problem in caught.value.problems] == ["P205"]
