"""The document built in Python: the same tables, the same problems, at the lines of the calls."""

import inspect
from enum import IntEnum, StrEnum
from pathlib import Path

import pytest

import pylos
from pylos.config import load, load_text, proxy_to
from pylos.errors import ConfigError, Place

HERE = str(Path(__file__))


def test_it_is_the_same_as_the_file():
    file = load_text(
        """
        [pylos]
        workers = 2
        access_log = { path = "/tmp/access.log" }
        use = ["all"]
        [listen.http]
        bind = ["127.0.0.1:8080", "[::1]:8080"]
        limits = { header = "32KiB" }
        timeouts = { idle = "10m" }
        [upstream.web]
        targets = ["http://10.0.0.1:8000", { url = "unix:/run/app.sock" }]
        health = { path = "/healthz" }
        pool = { idle = "4s" }
        timeouts = { connect = "1s" }
        [policy.shield]
        type = "filter"
        max_body = "1MiB"
        [policy.fields]
        type = "headers"
        request = { set = { x-a = "b" } }
        [policy.all]
        type = "chain"
        use = ["shield", "fields"]
        [route.site]
        match = "/{rest:path}"
        to = "web"
        timeouts = { total = "1h" }
        [route.old]
        match = "/old"
        redirect = { to = "/new", status = 301 }
        [route.ok]
        match = "/ok"
        respond = { json = { ok = true } }
        """,
        "x.toml",
    )
    twin = pylos.Config(
        pylos=pylos.Pylos(workers=2, access_log=pylos.AccessLog(path="/tmp/access.log"), use=["all"]),  # noqa: S108
        listen={
            "http": pylos.Listen(
                bind=["127.0.0.1:8080", "[::1]:8080"],
                limits=pylos.Limits(header="32KiB"),
                timeouts=pylos.ListenTimeouts(idle="10m"),
            )
        },
        upstream={
            "web": pylos.Upstream(
                targets=["http://10.0.0.1:8000", pylos.Target(url="unix:/run/app.sock")],
                health=pylos.Health(path="/healthz"),
                pool=pylos.Pool(idle="4s"),
                timeouts=pylos.UpstreamTimeouts(connect="1s"),
            )
        },
        policy={
            "shield": pylos.Filter(max_body="1MiB"),
            "fields": pylos.Headers(request=pylos.FieldEdits(set={"x-a": "b"})),
            "all": pylos.Chain(use=("shield", "fields")),
        },
        route={
            "site": pylos.Route(match="/{rest:path}", to="web", timeouts=pylos.RouteTimeouts(total="1h")),
            "old": pylos.Route(match="/old", redirect=pylos.Redirect(to="/new", status=301)),
            "ok": {"match": "/ok", "respond": pylos.Respond(json={"ok": True})},
        },
    )

    assert load(twin).table == file.table
    assert load(twin).config == file.config


def test_a_table_from_a_file_can_be_used_again():
    file = load_text(
        '[listen.a]\nbind = "127.0.0.1:0"\n'
        '[route.a]\nmatch = "/"\nrespond = { json = 1 }\n'
        '[policy.p]\ntype = "filter"\n',
        "x.toml",
    )
    again = pylos.Config(listen=file.config.listen, route=file.config.route, policy=file.config.policy)

    assert again.loaded.table == file.table


def test_none_is_what_was_not_given():
    twin = pylos.Config(listen={"http": pylos.Listen(bind="127.0.0.1:0", serve=None)}, route=None)

    assert twin.loaded.table["listen"]["http"]["serve"] == ["proxy"]


def test_a_table_shows_what_it_was_given():
    listen = pylos.Listen(bind="127.0.0.1:0")

    assert (listen.bind, listen.protocols, listen.given) == ("127.0.0.1:0", ["h1"], {"bind": "127.0.0.1:0"})


def test_problems_are_told_together_each_at_its_call():
    start = inspect.currentframe().f_lineno
    with pytest.raises(ConfigError) as caught:
        pylos.Config(
            listen={"http": {"bind": 80}},
            upstream={
                "web": pylos.Upstream(tragets=["localhost:1"]),
            },
            route={
                "site": pylos.Route(match="/", to="wbe"),
                "ok": pylos.Route(
                    match="/ok",
                    respond=pylos.Respond(staus=200),
                ),
            },
        )

    lines = [(problem.place.file, problem.place.line - start, problem.code) for problem in caught.value.problems]
    assert lines == [(HERE, 2, "P104"), (HERE, 5, "P102"), (HERE, 8, "P107"), (HERE, 11, "P102")]
    problem = caught.value.problems[1]
    assert (problem.path, problem.message) == (("upstream", "web", "tragets"), "unknown key")
    assert problem.place.source == '                "web": pylos.Upstream(tragets=["localhost:1"]),'
    assert problem.hint == "did you mean `targets`?"


def test_an_unknown_kind():
    assert [problem.code for problem in refused(listne={"a": {"bind": "127.0.0.1:0"}})] == ["P103"]


def test_a_model_in_the_place_of_another():
    (problem,) = refused(listen={"a": pylos.Listen(bind="127.0.0.1:0")}, upstream={"b": pylos.Route(match="/", to="b")})

    assert (problem.code, problem.message) == ("P104", "must be an Upstream, not a Route")


class Mode(StrEnum):
    OK = "respond"
    SITE = "site"
    TEXT = "hello"


class Number(IntEnum):
    STATUS = 201


def test_values_of_types_of_their_own_are_what_they_hold():
    route = {Mode.SITE: {"match": "/", Mode.OK: {"text": Mode.TEXT, "status": Number.STATUS}}}
    table = pylos.Config(listen={"a": pylos.Listen(bind="127.0.0.1:0")}, route=route).loaded.table

    assert (table["route"]["site"]["respond"]["body"], table["route"]["site"]["respond"]["status"]) == ("hello", 201)


@pytest.mark.parametrize(
    "value, what",
    [
        (Path("/x"), "a PosixPath"),
        (b"x", "a bytes"),
        (object(), "a object"),
        ({"x"}, "a set"),
        (3 + 1j, "a complex"),
        (lambda: None, "a function"),
    ],
)
def test_values_that_no_file_could_hold(value, what):
    (problem,) = refused(listen={"a": pylos.Listen(bind=value)})

    assert problem.message == f"must be a string or a list of strings, not {what}"


def test_a_key_that_no_file_could_hold():
    (problem,) = refused(listen={"a": {"bind": "127.0.0.1:0", 3: 4}})

    assert problem.message == "a key must be a string, not an integer"


def test_a_text_that_no_file_could_hold():
    (problem,) = refused(listen={"a": pylos.Listen(bind="127.0.0.1:0\udcff")})

    assert (problem.code, problem.path) == ("P104", ("listen", "a", "bind"))


def test_a_plain_proxy_is_told_at_the_command_line():
    with pytest.raises(ConfigError) as caught:
        proxy_to(["ftp://localhost"], "127.0.0.1:0", Place("command line"))

    (problem,) = caught.value.problems
    assert (str(problem.place), problem.code, problem.path) == (
        "command line",
        "P205",
        ("upstream", "web", "targets", 0),
    )


def test_a_plain_proxy():
    table = proxy_to(["localhost:8000", "localhost:8001"], "0.0.0.0:8080", Place("command line")).table

    assert table["listen"]["http"]["bind"] == ["0.0.0.0:8080"]
    assert [one["url"] for one in table["upstream"]["web"]["targets"]] == [
        "http://localhost:8000",
        "http://localhost:8001",
    ]
    assert table["route"]["all"]["match"] == ["/{rest:path}"]


def refused(**kinds):
    with pytest.raises(ConfigError) as caught:
        pylos.Config(**kinds)
    return caught.value.problems
