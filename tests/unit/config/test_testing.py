"""`[test.NAME]`: what holds, what fails and where that is told, what cannot be run, and how long it takes."""

import time

import pytest
from documents import LISTENERS

import pylos
from pylos.config import load_text
from pylos.errors import ConfigError

CONFIG = (
    LISTENERS
    + """\
[policy.fields]
type = "headers"
request = { set = { x-tenant = "shop" }, remove = ["x-debug"] }
[policy.shield]
type = "filter"
deny_ip = ["10.1.0.0/16"]
[route.site]
match = "shop.example.com/{rest:path}"
to = "web"
use = ["fields", "shield"]
[route.beta]
match = "shop.example.com/{rest:path}"
when = { header = { x-beta = true }, ip = ["10.0.0.0/8"] }
to = "web"
rewrite = "/beta/{rest}"
[route.old]
match = "shop.example.com/old/{rest:path}"
redirect = { to = "https://shop.example.com/new/{rest}", status = 301 }
[route.ok]
match = "/ok"
respond = { status = 204 }
"""
)
OLD = 'request = "GET http://shop.example.com/old/x"\n'
SITE = 'request = "GET http://shop.example.com/a?b=c"\n'


def run(test):
    with pytest.raises(ConfigError) as caught:
        load_text(f"{CONFIG}[test.t]\n{test}", "x.toml")
    return [problem for problem in caught.value.problems if problem.severity == "error"]


@pytest.mark.parametrize(
    "test",
    [
        SITE + 'expect = { route = "site", upstream = "web", path = "/a" }',
        SITE + 'expect = { path = "/a?b=c" }',
        SITE + 'headers = { x-debug = "1" }\nexpect = { headers = { X-Tenant = "shop", x-debug = false } }',
        SITE + 'headers = { x-beta = "" }\npeer = "10.2.0.1"\nexpect = { route = "beta", path = "/beta/a" }',
        SITE + 'headers = { x-beta = "" }\nexpect = { route = "site" }',
        SITE + 'peer = "10.1.0.1"\nexpect = { status = 403, reason = "ip_denied" }',
        SITE + 'listener = "http"\nas = "consumer:acme"\nexpect = { route = "site" }',
        SITE + 'as = { id = "consumer:acme", plan = "gold", claims = { a = [1, {}] } }\nexpect = { route = "site" }',
        OLD + 'expect = { status = 301, location = "https://shop.example.com/new/x" }',
        'request = "GET http://other/ok"\nexpect = { route = "ok", status = 204 }',
        'request = "GET http://other/none"\nexpect = { status = 404, reason = "no_route" }',
        'request = "GET /ok"\nexpect = { route = "ok", status = 204 }',
    ],
)
def test_what_holds(test):
    assert list(load_text(f"{CONFIG}[test.t]\n{test}", "x.toml").config.test) == ["t"]


@pytest.mark.parametrize(
    "test, key, message",
    [
        (SITE + 'expect = { route = "beta" }', ("route",), 'expected "beta", got "site"'),
        (
            'request = "GET http://other/x"\nexpect = { route = "site" }',
            ("route",),
            'expected "site", got no route: a refusal, 404, reason `no_route`',
        ),
        (
            'request = "GET http://other/ok"\nexpect = { upstream = "web" }',
            ("upstream",),
            'expected "web", got a fixed answer, 204',
        ),
        (SITE + 'expect = { path = "/b" }', ("path",), 'expected "/b", got "/a"'),
        (SITE + 'expect = { path = "/a?b=d" }', ("path",), 'expected "/a?b=d", got "/a?b=c"'),
        (SITE + "expect = { status = 403 }", ("status",), "expected 403, got an answer of upstream `web`"),
        (
            SITE + 'peer = "10.1.0.1"\nexpect = { status = 401 }',
            ("status",),
            "expected 401, got 403",
        ),
        (
            SITE + 'peer = "10.1.0.1"\nexpect = { path = "/a" }',
            ("path",),
            'expected "/a", got a refusal, 403, reason `ip_denied`',
        ),
        (
            'request = "GET http://other/x"\nexpect = { reason = "denied" }',
            ("reason",),
            'expected "denied", got "no_route"',
        ),
        (
            'request = "GET http://shop.example.com/old/x"\nexpect = { location = "/x" }',
            ("location",),
            'expected "/x", got "https://shop.example.com/new/x"',
        ),
        (
            'request = "GET http://shop.example.com/old/x"\nexpect = { upstream = "web" }',
            ("upstream",),
            'expected "web", got a redirect, 301, to https://shop.example.com/new/x',
        ),
        (
            SITE + 'expect = { headers = { x-tenant = "other" } }',
            ("headers", "x-tenant"),
            'expected "other", got "shop"',
        ),
        (
            SITE + 'expect = { headers = { x-other = "1" } }',
            ("headers", "x-other"),
            'expected "1", got no such field',
        ),
        (
            SITE + "expect = { headers = { x-tenant = false } }",
            ("headers", "x-tenant"),
            'expected no such field, got "shop"',
        ),
        (
            'request = "GET http://other/ok"\nexpect = { headers = { x-tenant = false } }',
            ("headers", "x-tenant"),
            "expected no such field, got a fixed answer, 204",
        ),
    ],
)
def test_what_fails_is_told_at_its_key(test, key, message):
    (problem,) = run(test)

    assert (problem.code, problem.path, problem.message) == ("P117", ("test", "t", "expect", *key), message)
    assert problem.place.source[problem.place.column - 1 :][: problem.place.length] in test


def test_everything_that_fails_is_told_with_the_reason():
    problems = run(SITE + 'expect = { route = "beta", upstream = "web", path = "/beta/a" }')

    assert [problem.path[-1] for problem in problems] == ["route", "path"]
    assert "`beta`: " in problems[0].hint


@pytest.mark.parametrize(
    "test, path, marked, message",
    [
        (SITE.replace("http:", "ftp:"), ("request",), None, None),
        (SITE + 'peer = "nowhere"\n', ("peer",), '"nowhere"', "`nowhere` is no address"),
        (SITE + 'peer = "fe80::1%eth0"\n', ("peer",), '"fe80::1%eth0"', "`fe80::1%eth0` is no address"),
        (
            SITE + 'headers = { "a b" = "1" }\n',
            ("headers", "a b"),
            '"a b"',
            "`a b` cannot be the name of a field",
        ),
        (SITE + 'headers = { a = "1\\n" }\n', ("headers", "a"), '"1\\n"', "a field holds no control characters"),
    ],
)
def test_what_cannot_be_run(test, path, marked, message):
    (problem,) = run(test + 'expect = { route = "site" }')

    assert (problem.code, problem.path) == ("P118", ("test", "t", *path))
    assert marked in (None, problem.place.marked)
    assert message in (None, problem.message)


def test_a_refusal_before_any_route_is_told_with_its_reason():
    (problem,) = run(SITE.replace("/a?", "/a/%zz?") + 'expect = { route = "site" }')

    assert problem.message.startswith('expected "site", got no route: a refusal, 400, reason `')


def test_an_admin_listener_serves_no_routes():
    (problem,) = run(SITE + 'listener = "ops"\nexpect = { route = "site" }')

    assert problem.hint == "the listener `ops` serves no routes"


def test_a_secret_is_not_told(monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_SECRET", "correct horse")
    text = CONFIG.replace('x-tenant = "shop"', 'x-tenant = { env = "PYLOS_TEST_SECRET" }')
    with pytest.raises(ConfigError) as caught:
        load_text(f"{text}[test.t]\n{SITE}expect = {{ headers = {{ x-tenant = false }} }}", "x.toml")

    assert "correct horse" not in str(caught.value)
    assert 'expected no such field, got "***"' in str(caught.value)


@pytest.mark.parametrize(
    "test, code, path",
    [
        (SITE + 'expect = { route = "stie" }', "P107", ("expect", "route")),
        (SITE + 'expect = { upstream = "wbe" }', "P107", ("expect", "upstream")),
        (SITE + 'listener = "htpt"\nexpect = { route = "site" }', "P107", ("listener",)),
        (SITE + 'given = { shield = "allow" }\nexpect = { route = "site" }', "P118", ("given", "shield")),
        (SITE + 'given = { sheild = "allow" }\nexpect = { route = "site" }', "P107", ("given", "sheild")),
        (SITE + "expect = {}", "P105", ("expect",)),
        (SITE, "P105", ()),
        ('request = "/a"\nexpect = { route = "site" }', "P104", ("request",)),
        ('request = "GET  /a"\nexpect = { route = "site" }', "P104", ("request",)),
        ('request = "GET /a b"\nexpect = { route = "site" }', "P104", ("request",)),
        (SITE + 'expect = { rout = "site" }', "P102", ("expect", "rout")),
        (SITE + 'expect = { status = "403" }', "P104", ("expect", "status")),
        (SITE + 'as = {}\nexpect = { route = "site" }', "P105", ("as",)),
        (SITE + 'as = 3\nexpect = { route = "site" }', "P104", ("as",)),
        (SITE + "expect = { headers = { a = true } }", "P104", ("expect", "headers", "a")),
    ],
)
def test_a_form_that_a_test_cannot_have(test, code, path):
    (problem,) = run(test)

    assert (problem.code, problem.path) == (code, ("test", "t", *path))


def test_they_run_when_nothing_else_is_wrong():
    problems = run(SITE + 'expect = { route = "beta" }\n[route.wrong]\nmatch = "/"\nto = "wbe"')

    assert [problem.code for problem in problems] == ["P107"]


def test_the_twin_has_them():
    with pytest.raises(ConfigError) as caught:
        pylos.Config(
            listen={"http": pylos.Listen(bind="127.0.0.1:0")},
            route={"ok": pylos.Route(match="/ok", respond=pylos.Respond())},
            test={"t": {"request": "GET /ok", "expect": {"route": "ok", "status": 404}}},
        )

    (problem,) = caught.value.problems
    assert (problem.code, problem.place.file, problem.message) == ("P117", __file__, "expected 404, got 200")


def test_a_thousand_take_at_most_a_second():
    tests = "".join(f'[test.t{number}]\n{SITE}expect = {{ route = "site", path = "/a" }}\n' for number in range(1000))
    load_text(CONFIG + tests, "x.toml")

    started = time.process_time()
    load_text(CONFIG + tests, "x.toml")
    assert time.process_time() - started < 1
