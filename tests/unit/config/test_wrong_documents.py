"""Wrong documents, and exactly what is said about them. Every code of the language has a line here."""

import re
from pathlib import Path

import pytest
from sayings import REST, Wrong, lines_of, refused, report

from pylos.config import load_text
from pylos.config.codes import MANUALS
from pylos.config.problems import WARNINGS

TABLE = [
    Wrong(
        "not TOML",
        "[pylos]\nworkers = ",
        """
        x.toml:2:11: error P101: {toml}
            2 | workers =
              |           ^
        """,
    ),
    Wrong(
        "an unknown key",
        '[route.a]\nmatch = "/"\nto = "web"\ntimeuot = "3s"',
        """
        x.toml:4:1: error P102: [route.a] timeuot: unknown key
            4 | timeuot = "3s"
              | ^^^^^^^
              = did you mean `timeout`?
        """,
    ),
    Wrong(
        "an unknown key that is like no other",
        "[pylos]\ncolour = 1",
        """
        x.toml:2:1: error P102: [pylos] colour: unknown key
            2 | colour = 1
              | ^^^^^^
              = keys are version, workers, trusted_proxies, zone, access_log, use, require, drain, memory, lanes, lane_memory, state, secret, user and silence
        """,  # noqa: E501 - a line of the output
    ),
    Wrong(
        "an unknown key in an inner table",
        '[upstream.b]\ntargets = ["localhost:1"]\nhealth = { path = "/", evry = "1s" }',
        """
        x.toml:3:24: error P102: [upstream.b] health.evry: unknown key
            3 | health = { path = "/", evry = "1s" }
              |                        ^^^^
              = did you mean `every`?
        """,
    ),
    Wrong(
        "a misspelled key is not missing as well",
        '[upstream.b]\ntragets = ["localhost:1"]',
        """
        x.toml:2:1: error P102: [upstream.b] tragets: unknown key
            2 | tragets = ["localhost:1"]
              | ^^^^^^^
              = did you mean `targets`?
        """,
    ),
    Wrong(
        "a misspelled action is not a missing action as well",
        '[route.a]\nmatch = "/"\ntoo = "web"',
        """
        x.toml:3:1: error P102: [route.a] too: unknown key
            3 | too = "web"
              | ^^^
              = did you mean `to`?
        """,
    ),
    Wrong(
        "a misspelled type of policy is one mistake",
        '[policy.a]\ntyp = "filter"\nmax_body = "1MiB"',
        """
        x.toml:2:1: error P102: [policy.a] typ: unknown key
            2 | typ = "filter"
              | ^^^
              = did you mean `type`?
        """,
    ),
    Wrong(
        "an unknown kind",
        '[upstreams.b]\ntargets = ["localhost:1"]\n[route.a]\nmatch = "/"\nto = "b"',
        """
        x.toml:1:2: error P103: [upstreams]: unknown kind of table
            1 | [upstreams.b]
              |  ^^^^^^^^^
              = did you mean `upstream`?
        """,
    ),
    Wrong(
        "an unknown kind that is like no other",
        "[certificate.a]\nx = 1",
        """
        x.toml:1:2: error P103: [certificate]: unknown kind of table
            1 | [certificate.a]
              |  ^^^^^^^^^^^
              = kinds are pylos, listen, tls, acme, upstream, policy, route and test
        """,
    ),
    Wrong(
        "a table without a name",
        '[route]\nmatch = "/"\nto = "web"',
        """
        x.toml:2:1: error P104: [route.match]: must be a table, not a string
            2 | match = "/"
              | ^^^^^
              = give the table a name: [route.NAME]
        """,
    ),
    Wrong(
        "an array of tables",
        '[[route]]\nmatch = "/"\nto = "web"',
        """
        x.toml:1:3: error P104: [route]: must be tables with names, [route.NAME], not a list
            1 | [[route]]
              |   ^^^^^
        """,
    ),
    Wrong(
        "a name that cannot be one",
        '[route."a b"]\nmatch = "/"\nto = "web"',
        """
        x.toml:1:8: error P104: [route."a b"]: `a b` cannot be a name
            1 | [route."a b"]
              |        ^^^^^
              = a name has letters, digits, `_` and `-`, and at most 64 of them
        """,
    ),
    Wrong(
        "a value of the wrong type",
        '[route.a]\nmatch = "/"\nto = 5',
        """
        x.toml:3:6: error P104: [route.a] to: must be a string, not an integer
            3 | to = 5
              |      ^
        """,
    ),
    Wrong(
        "a wrong value in one branch is no error in the others",
        '[route.a]\nmatch = ["/", 7]\nto = "web"',
        """
        x.toml:2:15: error P104: [route.a] match[1]: must be a string, not an integer
            2 | match = ["/", 7]
              |               ^
        """,
    ),
    Wrong(
        "a shape that no branch has",
        '[route.a]\nmatch = { path = "/" }\nto = "web"',
        """
        x.toml:2:9: error P104: [route.a] match: must be a string or a list of strings, not a table
            2 | match = { path = "/" }
              |         ^^^^^^^^^^^^^^
        """,
    ),
    Wrong(
        "a word that is not allowed",
        '[upstream.b]\ntargets = ["localhost:1"]\nbalance = "round-robin"',
        """
        x.toml:3:11: error P104: [upstream.b] balance: must be "p2c", "least_requests", "peak_ewma", "round_robin", "random", "first", "ring_hash" or "maglev"
            3 | balance = "round-robin"
              |           ^^^^^^^^^^^^^
              = did you mean `round_robin`?
        """,  # noqa: E501 - a line of the output
    ),
    Wrong(
        "one of a few numbers",
        '[route.a]\nmatch = "/"\nredirect = { to = "/b", status = 300 }',
        """
        x.toml:3:34: error P104: [route.a] redirect.status: must be 301, 302, 303, 307 or 308
            3 | redirect = { to = "/b", status = 300 }
              |                                  ^^^
        """,
    ),
    Wrong(
        "a number out of bounds",
        "[pylos]\nworkers = 0",
        """
        x.toml:2:11: error P104: [pylos] workers: must be at least 1
            2 | workers = 0
              |           ^
        """,
    ),
    Wrong(
        "an empty list",
        "[upstream.b]\ntargets = []",
        """
        x.toml:2:11: error P104: [upstream.b] targets: must not be empty
            2 | targets = []
              |           ^^
        """,
    ),
    Wrong(
        "true is no log",
        "[pylos]\naccess_log = true",
        """
        x.toml:2:14: error P104: [pylos] access_log: must be a table or false, not a boolean
            2 | access_log = true
              |              ^^^^
        """,
    ),
    Wrong(
        "a value without a JSON form",
        '[route.a]\nmatch = "/"\nrespond = { json = { at = inf } }',
        """
        x.toml:3:20: error P104: [route.a] respond.json: has no JSON form
            3 | respond = { json = { at = inf } }
              |                    ^^^^^^^^^^^^
              = JSON knows no infinity and no NaN
        """,
    ),
    Wrong(
        "something required",
        '[route.a]\nto = "web"',
        """
        x.toml:1:8: error P105: [route.a]: `match` is missing
            1 | [route.a]
              |        ^
        """,
    ),
    Wrong(
        "a route that does nothing",
        '[route.a]\nmatch = "/"',
        """
        x.toml:1:8: error P105: [route.a]: nothing becomes of these requests
            1 | [route.a]
              |        ^
              = add `to`, `redirect` or `respond`
        """,
    ),
    Wrong(
        "a policy without a type",
        '[policy.a]\nmax_body = "1MiB"',
        """
        x.toml:1:9: error P105: [policy.a]: `type` is missing
            1 | [policy.a]
              |         ^
              = types are headers, filter, rate_limit, mtls, python and chain
        """,
    ),
    Wrong(
        "an unknown type of policy",
        '[policy.a]\ntype = "filtr"',
        """
        x.toml:2:8: error P106: [policy.a] type: unknown type of policy `filtr`
            2 | type = "filtr"
              |        ^^^^^^^
              = did you mean `filter`?
        """,
    ),
    Wrong(
        "an unknown upstream",
        '[route.a]\nmatch = "/"\nto = "wbe"',
        """
        x.toml:3:6: error P107: [route.a] to: there is no upstream `wbe`
            3 | to = "wbe"
              |      ^^^^^
              = did you mean `web`?
        """,
    ),
    Wrong(
        "an unknown policy",
        '[pylos]\nuse = ["edge"]',
        """
        x.toml:2:8: error P107: [pylos] use[0]: there is no policy `edge`
            2 | use = ["edge"]
              |        ^^^^^^
              = add [policy.edge]
        """,
    ),
    Wrong(
        "an unknown policy in a chain",
        '[policy.all]\ntype = "chain"\nuse = ["shield", "gzip"]\n[policy.shield]\ntype = "filter"',
        """
        x.toml:3:18: error P107: [policy.all] use[1]: there is no policy `gzip`
            3 | use = ["shield", "gzip"]
              |                  ^^^^^^
              = known are all and shield
        """,
    ),
    Wrong(
        "two actions",
        '[route.a]\nmatch = "/"\nto = "web"\nrespond = { status = 204 }',
        """
        x.toml:4:1: error P108: [route.a] respond: cannot stand beside `to`: a route does one thing
            4 | respond = { status = 204 }
              | ^^^^^^^
        """,
    ),
    Wrong(
        "two bodies",
        '[route.a]\nmatch = "/"\nrespond = { text = "a", html = "b" }',
        """
        x.toml:3:25: error P108: [route.a] respond.html: cannot stand beside `text`: an answer has one body
            3 | respond = { text = "a", html = "b" }
              |                         ^^^^
        """,
    ),
    Wrong(
        "two ways to change the path",
        '[route.a]\nmatch = "/a/{rest:path}"\nto = "web"\nstrip = "/a"\nrewrite = "/b/{rest}"',
        """
        x.toml:4:1: error P108: [route.a] strip: cannot stand beside `rewrite`
            4 | strip = "/a"
              | ^^^^^
        """,
    ),
    Wrong(
        "a key without effect",
        '[route.a]\nmatch = "/"\nrespond = { status = 204 }\ntimeout = "3s"',
        """
        x.toml:4:1: error P108: [route.a] timeout: does nothing without `to`
            4 | timeout = "3s"
              | ^^^^^^^
        """,
    ),
    Wrong(
        "a number without a unit",
        "[pylos]\ndrain = 30",
        """
        x.toml:2:9: error P109: [pylos] drain: 30 has no unit
            2 | drain = 30
              |         ^^
              = write "30ms", "30s" or "30m"
        """,
    ),
    Wrong(
        "an unknown unit",
        '[policy.a]\ntype = "filter"\nmax_body = "10mib"',
        """
        x.toml:3:12: error P109: [policy.a] max_body: unknown unit `mib`
            3 | max_body = "10mib"
              |            ^^^^^^^
              = did you mean `MiB`?
        """,
    ),
    Wrong(
        "a chain acts through its members",
        '[policy.all]\ntype = "chain"\nuse = ["a"]\nenforce = 10\n[policy.a]\ntype = "filter"',
        """
        x.toml:4:1: error P102: [policy.all] enforce: unknown key
            4 | enforce = 10
              | ^^^^^^^
              = a chain is only a list: write it at the policies that it names
        """,
    ),
    Wrong(
        "a condition that asks for absence",
        '[route.a]\nmatch = "/"\nto = "web"\nwhen = { header = { x-beta = false } }',
        """
        x.toml:4:30: error P104: [route.a] when.header.x-beta: must be a string or true, not false
            4 | when = { header = { x-beta = false } }
              |                              ^^^^^
              = `true` asks for it to be there; requests without it go to the other routes
        """,
    ),
    Wrong(
        "a condition of another type",
        '[route.a]\nmatch = "/"\nto = "web"\nwhen = { query = { v = 2 } }',
        """
        x.toml:4:24: error P104: [route.a] when.query.v: must be a string or true, not an integer
            4 | when = { query = { v = 2 } }
              |                        ^
        """,
    ),
    Wrong(
        "what is no warning is not silenced",
        '[route.a]\nmatch = "/"\nto = "web"\nsilence = ["P203", "P102", "p203"]',
        """
        x.toml:4:20: error P116: [route.a] silence[1]: `P102` is an error, and no warning
            4 | silence = ["P203", "P102", "p203"]
              |                    ^^^^^^
              = warnings are P123, P203, P210 and P213
        x.toml:4:28: error P116: [route.a] silence[2]: `p203` is no code of a warning
            4 | silence = ["P203", "P102", "p203"]
              |                            ^^^^^^
              = did you mean `P203`?
        """,
    ),
]


@pytest.mark.parametrize("wrong", TABLE, ids=lambda wrong: wrong.name)
def test_what_is_said(wrong):
    said = report(wrong.document + "\n" + REST)

    if "{toml}" in wrong.said:  # in the words of the TOML parser
        said = re.sub(r"(P101: ).*", r"\1{toml}", said)
        said = "\n".join(line for line in said.splitlines() if not line.startswith("      = "))
    assert said.splitlines() == lines_of(wrong)


def test_everything_is_said_at_once_in_the_order_of_the_file():
    document = """\
[pylos]
drain = 30
[route.c]
match = "/{a}/{a}"
to = "wbe"
[upstream.b]
tragets = []
timeouts = { connect = "5 s", idle = 3 }
[policy.x]
type = "headers"
request = { set = { "bad name" = "x" } }
"""
    problems = refused(document + REST).problems

    assert [(problem.place.line, problem.code) for problem in problems] == [
        (2, "P109"),
        (4, "P201"),  # found by the compiler, although the route's upstream is not there
        (5, "P107"),
        (7, "P102"),
        (8, "P109"),
        (8, "P109"),
        (11, "P209"),
    ]


@pytest.mark.parametrize("match", ['"/x/{a"', '["y", "x"]', "[]", '"${PYLOS_TEST_UNSET}"', '"tls://x"'])
def test_what_cannot_be_read_is_not_missing_captures_as_well(match):
    document = f'[route.a]\nmatch = {match}\nto = "web"\nrewrite = "/{{other}}"\n'

    assert {problem.path[2] for problem in refused(document + REST).problems} == {"match"}


def test_a_tie_tells_the_place_of_the_other_route():
    document = '[route.a]\nmatch = "/{x}"\nto = "web"\n[route.b]\nmatch = "/{y}"\nto = "web"\n'

    (problem,) = refused(document + REST).problems

    assert [str(place) for place, _ in problem.also] == ["x.toml:1:8"]


def test_a_warning_is_silenced_by_the_table_that_it_is_about():
    routes = '[route.a]\nmatch = ["/x", "/x"]\nto = "web"\n{}\n[route.b]\nmatch = ["/y", "/y"]\nto = "web"\n'

    warnings = load_text(routes.format('silence = ["P203"]') + REST, "x.toml").warnings

    assert [warning.path for warning in warnings] == [("route", "b", "match", 1)]


def test_a_warning_is_silenced_everywhere_by_the_table_of_the_gateway():
    document = '[pylos]\nsilence = ["P203"]\n[route.a]\nmatch = ["/x", "/x"]\nto = "web"\n'

    assert load_text(document + REST, "x.toml").warnings == []


def test_the_codes_of_warnings_are_those_that_the_compiler_warns_with():
    compiler = Path(__file__).parents[3] / "crates/core/src/table/problem.rs"

    found = set(re.findall(r'"(P2\d\d)", Warning', compiler.read_text()))
    assert found == {code for code in WARNINGS if code.startswith("P2")}


def test_a_policy_that_cannot_be_read_is_not_missing_on_routes_as_well():
    document = (
        '[pylos]\nrequire = ["x"]\n[policy.x]\ntype = "filter"\nmax_body = 3\n[policy.c]\ntype = "chain"\nuse = 3\n'
    )
    problems = refused(document + '[route.a]\nmatch = "/"\nto = "web"\nuse = ["c"]\n' + REST).problems

    assert [problem.code for problem in problems] == ["P109", "P104"]


def test_a_wrong_table_is_still_there_for_those_that_name_it():
    problems = refused('[upstream.b]\ntargets = 3\n[route.a]\nmatch = "/"\nto = "b"\n' + REST).problems

    assert [problem.code for problem in problems] == ["P104"]


def test_a_document_that_would_serve_nobody():
    assert report("").splitlines() == [
        "x.toml: error P105: there is no [listen.NAME]: nothing would be served",
        '      = add [listen.http] with bind = "127.0.0.1:8080"',
    ]


def test_a_misspelled_listen_is_not_a_missing_one_as_well():
    problems = refused('[listn.http]\nbind = "127.0.0.1:0"').problems

    assert [problem.code for problem in problems] == ["P103"]


def test_every_code_has_a_test():
    folders = ("config", "cli", "model")
    tests = [path for folder in folders for path in (Path(__file__).parents[1] / folder).glob("test_*.py")]
    tested = set(re.findall(r"P\d{3}", "".join(path.read_text() for path in tests)))

    assert sorted(MANUALS.keys() - tested) == []
