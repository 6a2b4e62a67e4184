"""`[defaults.KIND]`: what an object has without saying so, and where a default's own mistakes are told."""

import pytest

from pylos.config import load_text
from pylos.errors import ConfigError

LISTEN = '[listen.http]\nbind = "127.0.0.1:0"\n'
WEB = '[upstream.web]\ntargets = ["localhost:1"]\n'


def loaded(text):
    return load_text(text + LISTEN, "x.toml").config


def refused(text):
    with pytest.raises(ConfigError) as caught:
        load_text(text + LISTEN, "x.toml")
    return caught.value.problems


def told(text):
    return [(problem.code, problem.place.line, problem.place.column) for problem in refused(text)]


def test_what_an_object_does_not_say_it_has_from_the_default():
    config = loaded(
        f'[defaults.upstream]\nhost = "target"\nhealth = {{ path = "/h" }}\n{WEB}[upstream.b]\ntargets=["b:1"]\n'
    )

    assert [(one.host, one.health.path) for one in config.upstream.values()] == [("target", "/h")] * 2


def test_the_nearer_wins_whole():
    config = loaded(
        f'[defaults.upstream]\nhealth = {{ path = "/h", fall = 9 }}\n{WEB}health = {{ path = "/own" }}\n'
        '[defaults.route]\nuse = ["a", "b"]\n[route.r]\nmatch = "/"\nto = "web"\nuse = ["b"]\n'
        '[policy.a]\ntype = "filter"\n[policy.b]\ntype = "filter"\n'
    )

    assert (config.upstream["web"].health.path, config.upstream["web"].health.fall) == ("/own", 3)
    assert config.route["r"].use == ["b"]


def test_an_inherited_check_is_switched_off():
    config = loaded(f'[defaults.upstream]\nhealth = {{ path = "/h" }}\n{WEB}health = false\n')

    assert config.upstream["web"].health is False


def test_a_listener_has_defaults():
    config = load_text("[defaults.listen]\nlimits = { fields = 7 }\n" + LISTEN, "x.toml").config

    assert config.listen["http"].limits.fields == 7


@pytest.mark.parametrize(
    "default, route",
    [
        ('timeout = "10s"', "respond = {}"),
        ('timeout = "10s"', 'redirect = "/b"'),
        ('timeouts = { total = "1h" }', "respond = {}"),
        ("upgrade = []", "respond = {}"),
        ('strip = "/a"', "respond = {}"),
        ('strip = "/a"', 'to = "web"\nrewrite = "/b"'),
        ('rewrite = "/b"', 'to = "web"\nstrip = "/a"'),
        ('redirect = "/b"', 'to = "web"'),
        ('to = "web"', "respond = {}"),
        ('to = "web"\ntimeout = "3s"', "respond = {}"),
    ],
)
def test_a_default_is_not_for_a_route_that_does_something_else(default, route):
    config = loaded(f'[defaults.route]\n{default}\n[route.r]\nmatch = "/a/{{rest:path}}"\n{route}\n{WEB}')

    inherited = {line.partition(" ")[0] for line in default.splitlines()}
    assert config.route["r"].model_fields_set & inherited == set()


def test_a_default_action():
    config = loaded(f'[defaults.route]\nto = "web"\ntimeout = "3s"\n[route.r]\nmatch = "/"\n{WEB}')

    assert (config.route["r"].to, config.route["r"].timeout) == ("web", "3s")


@pytest.mark.parametrize(
    "default, code, column",
    [
        ("timeot = 3", "P102", 1),
        ('timeout = "3"', "P109", 11),
        ("use = 3", "P104", 7),
        ('use = ["x"]', "P107", 8),
        ('silence = ["P102"]', "P116", 12),
        ('upgrade = ["a b"]', "P211", 12),
        ("mirror = 3", "P110", 1),
        ('timeout = "${PYLOS_TEST_UNSET}"', "P111", 12),
        ("timeouts = { totl = 3 }", "P102", 14),
        ('redirect = "/b"\nto = "web"', "P108", 1),
    ],
)
def test_a_mistake_in_a_default_is_told_once_at_the_default(default, code, column):
    routes = "".join(f'[route.{name}]\nmatch = "/{name}"\nto = "web"\n' for name in "abc")
    if code == "P108":
        routes = routes.replace('to = "web"\n', "")

    ((found, line, at),) = told(f"[defaults.route]\n{default}\n{routes}{WEB}")

    assert (found, at) == (code, column)
    assert line in (2, 3)


def test_a_mistake_in_a_default_is_told_when_nothing_has_it():
    assert told('[defaults.upstream]\nhealth = { every = "2" }\n') == [("P109", 2, 20)]


@pytest.mark.parametrize(
    "text, code",
    [
        ("defaults = 3\n", "P104"),
        ("[defaults]\nroute = 3\n", "P104"),
        ("[defaults.policy]\nenforce = 3\n", "P103"),
        ("[defaults.rout]\nuse = []\n", "P103"),
        ("[default.route]\nuse = []\n", "P103"),
    ],
)
def test_defaults_of_another_form(text, code):
    assert [problem.code for problem in refused(text)] == [code]


def test_a_misspelled_kind_of_default_is_found():
    (problem,) = refused("[defaults.rout]\nuse = []\n")

    assert problem.hint == "did you mean `route`?"


def test_a_warning_about_a_default_is_told_once_and_silenced_there():
    text = ('[defaults.route]\nmatch = ["/{{a}}", "/{{b}}"]\n{}\n[route.a]\nrespond = {{}}\n') + LISTEN

    (warning,) = load_text(text.format(""), "x.toml").warnings
    assert (warning.code, warning.path) == ("P203", ("defaults", "route", "match", 1))
    assert [words for _, words in warning.also] == ["has this default"]
    assert load_text(text.format('silence = ["P203"]'), "x.toml").warnings == []


def test_no_default_exempts_routes_from_what_is_required():
    text = (
        '[pylos]\nrequire = ["p"]\n[policy.p]\ntype = "filter"\n[defaults.route]\nwithout = ["p"]\n'
        '[route.a]\nmatch = "/a"\nrespond = {}\n[route.b]\nmatch = "/b"\nrespond = {}\nuse = ["p"]\n'
    )
    problems = refused(text)

    assert (problems[0].code, problems[0].path) == ("P115", ("defaults", "route", "without"))
    assert "in each route" in problems[0].hint
    own = text.replace('[defaults.route]\nwithout = ["p"]\n', "")
    own = own.replace("respond = {}", 'respond = {}\nwithout = ["p"]', 1)
    assert load_text(own + LISTEN, "x.toml").without == {"a": ["p"]}


def test_a_path_cannot_be_asked_for_where_there_are_none():
    problems = refused(
        '[defaults.upstream]\nhealth = { path = "/h" }\n[upstream.db]\ntargets = ["tcp://10.0.0.1:5432"]\n'
        '[upstream.db2]\ntargets = ["tcp://10.0.0.2:5432"]\nhealth = false\n'
    )

    default = next(problem for problem in problems if problem.code == "P115")
    assert (default.place.line, default.path) == (2, ("defaults", "upstream", "health"))
    assert "[upstream.db] (x.toml:3:11)" in default.message
    assert [str(place) for place, _ in default.also] == ["x.toml:3:11"]
    assert [problem.code for problem in problems] == ["P115", "P110", "P110"]
