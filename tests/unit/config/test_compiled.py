"""What the compiled core knows of a document is asked of it, and compiled once."""

import pytest
from documents import LISTENERS

from pylos._core import compile_table
from pylos.config import load_text
from pylos.config.explain import Asker
from pylos.errors import ConfigError, PylosError

DOCUMENT = (
    LISTENERS
    + """\
[route.site]
match = "/{rest:path}"
to = "web"
[test.home]
request = "GET /"
expect = { route = "site" }
"""
)


@pytest.fixture
def compiled(monkeypatch):
    """The tables that are compiled."""
    tables = []
    for user in ("check", "compiled"):
        name = f"pylos.config.{user}.compile_table"
        monkeypatch.setattr(name, lambda table: tables.append(table) or compile_table(table))
    return tables


def test_a_load_with_its_tests_its_routes_and_explanations_compiles_once(compiled):
    loaded = load_text(DOCUMENT, "x.toml")

    assert [row["route"] for row in loaded.routes()] == ["site"]
    assert Asker.of(loaded).ask("GET", "/").upstream == "web"
    assert len(compiled) == 1


def test_a_wrong_document_is_compiled_once(compiled):
    with pytest.raises(ConfigError):
        load_text(DOCUMENT.replace('"site" }', '"sote" }'), "x.toml")

    assert len(compiled) == 1


@pytest.mark.parametrize("of_key, column", [(True, 1), (False, 6)])
def test_where_a_problem_is_told_stands_beside_its_text_and_not_in_it(monkeypatch, of_key, column):
    finding = {"code": "P209", "severity": "warning", "message": "no `to`, nor `route.site`", "hint": None}
    place = {"path": ["route", "site", "to"], "of_key": of_key, "also": [["upstream", "web"], ["listen", "ops"]]}

    def found(table: bytes) -> tuple:
        return [finding | place], compile_table(table)[1]

    monkeypatch.setattr("pylos.config.check.compile_table", found)
    (problem,) = load_text(DOCUMENT, "x.toml").warnings

    assert (problem.place.line, problem.place.column) == (10, column)
    assert [(place.line, label) for place, label in problem.also] == [
        (6, "the other upstream"),
        (3, "the other listener"),
    ]


def test_a_tie_is_no_mistake_where_what_tells_the_other_route_could_not_be_read(monkeypatch):
    """Whichever the compiler calls the other one, in whatever words."""
    routes = (
        '[route.a]\nmatch = "/{x}"\nto = "web"\n[route.b]\nmatch = "/{y}"\nto = "web"\nwhn = { query = { q = true } }\n'
    )

    def reworded(table: bytes) -> tuple:
        found, compiled = compile_table(table)
        return [one | {"message": "as well as another"} for one in found], compiled

    monkeypatch.setattr("pylos.config.check.compile_table", reworded)
    with pytest.raises(ConfigError) as caught:
        load_text(LISTENERS + routes.replace("[route.a]", "[route.c]"), "x.toml")

    assert [problem.code for problem in caught.value.problems] == ["P102"]


def test_a_table_alone_can_be_asked():
    assert Asker(load_text(DOCUMENT, "x.toml").table).ask("GET", "/").upstream == "web"
    with pytest.raises(PylosError, match="this version of Pylos cannot read the table"):
        Asker({"version": 1})


def test_a_client_without_an_address_has_a_name():
    asker = Asker.of(load_text(DOCUMENT, "x.toml"))
    told, other = asker.ask("GET", "/", peer=None), asker.ask("GET", "/", peer="192.0.2.1")

    assert (told.request.client_ip, told.request.client_id) == (None, "unix")
    assert "  client    unix" in str(told).splitlines()
    assert "  client    192.0.2.1, ip:192.0.2.1" in str(other).splitlines()


@pytest.mark.parametrize(
    "upstreams, health",
    [
        ({"web": [{"target": "http://127.0.0.1:1", "state": "down", "since": 3}], "api": []}, "down"),
        ({"web": []}, None),
        ({}, None),
    ],
)
def test_the_health_of_the_targets_of_a_running_gateway(upstreams, health):
    told = Asker.of(load_text(DOCUMENT, "x.toml")).ask("GET", "/").with_health(upstreams)

    assert told.health == ({} if health is None else {"http://127.0.0.1:1": health})
    assert told.model_copy(update={"health": {}}).with_health(upstreams) == told
