"""Conditions while requests pass: `when` and `priority` of routes, `if` and `enforce` of policies, `rewrite.re`."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

import pytest
from system.rig import Front

from pylos.testing import RawClient, Response
from pylos.testing.echo import EchoUpstream
from pylos.testing.plugin import ClientFactory

TRUSTING = 'access_log = false\ntrusted_proxies = ["127.0.0.1"]'
ADMIN = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]'


def _answer(name: str, keys: str) -> str:
    """Write a route for every path that says its name."""
    return f'[route.{name}]\nmatch = "/{{rest:path}}"\nrespond = {{ status = 200, text = "{name}" }}\n{keys}\n'


ROUTES = "".join(
    [
        _answer("beta", 'when = { header = { X-Beta = "1" } }'),
        _answer("any_beta", "when = { header = { x-beta = true } }\npriority = -1"),
        _answer("tagged", 'when = { header = { x-beta = "1" }, query = { tag = "re:^a+$" } }'),
        _answer("cookie", 'when = { cookie = { who = "a b" } }\npriority = -2'),
        _answer("inside", 'when = { ip = ["10.0.0.0/8", "::1"] }\npriority = 1'),
        _answer("rest", ""),
    ]
)


@pytest.mark.parametrize(
    "target, headers, route",
    [
        ("/", [], "rest"),
        ("/", [("x-beta", "1")], "beta"),
        ("/", [("X-BETA", "0"), ("x-beta", "1")], "beta"),
        ("/", [("x-beta", "2")], "any_beta"),
        ("/?tag=b&x=1", [("x-beta", "1")], "beta"),
        ("/?x=1&tag=%61aa", [("x-beta", "1")], "tagged"),
        ("/?tag=b&tag=a", [("x-beta", "1")], "beta"),
        ("/", [("cookie", 'a=1; who="a b"')], "cookie"),
        ("/", [("cookie", "who=a")], "rest"),
        ("/", [("x-forwarded-for", "10.1.2.3"), ("x-beta", "1")], "inside"),
        ("/", [("x-forwarded-for", "192.0.2.1")], "rest"),
    ],
)
def test_conditions_choose_the_route(
    front: Front, echo: EchoUpstream, target: str, headers: list[tuple[str, str]], route: str
):
    gateway = front(echo, pylos=TRUSTING, route='match = "unused.example/"', more=ROUTES)
    with RawClient(gateway.address()) as client:
        assert client.get(target, headers).text == route


def test_a_stranger_has_no_word_about_its_address(front: Front, echo: EchoUpstream):
    """Without trusted proxies neither the address nor a condition on the field believes the client."""
    more = _answer("inside", 'when = { ip = ["10.0.0.0/8"] }') + _answer(
        "named", 'when = { header = { x-forwarded-proto = "https" } }\npriority = 1'
    )
    gateway = front(echo, route='match = "/{rest:path}"', more=more)
    with RawClient(gateway.address()) as client:
        client.get("/", [("x-forwarded-for", "10.1.2.3"), ("x-forwarded-proto", "https")])
    assert len(echo.requests) == 1  # neither of the two answered


@pytest.mark.parametrize(
    "path, sent",
    [
        ("/v1/a%2Fb?x=1", "/api/a%2Fb?x=1"),
        ("/v2/a", "/v2/a"),
        ("/v1/", "/api/"),
    ],
)
def test_a_regular_expression_rewrites_the_path(
    front: Front, echo: EchoUpstream, client: ClientFactory, path: str, sent: str
):
    gateway = front(echo, route='match = "/{rest:path}"\nrewrite = { re = "^/v1/(?<tail>.*)$", to = "/api/$${tail}" }')
    assert client(gateway).get(path).status == HTTPStatus.OK
    assert echo.requests[0].target == sent


def test_a_rewrite_cannot_be_made_to_climb(front: Front, echo: EchoUpstream, client: ClientFactory):
    gateway = front(echo, route='match = "/{rest:path}"\nrewrite = { re = "^/f/(.*)-small$", to = "/raw/$1" }')
    answer = client(gateway).get("/f/..-small")
    assert (answer.status, answer.header("pylos-reason")) == (400, "bad_path")
    assert echo.requests == []


CONDITIONAL = """
[policy.guard]
type = "filter"
deny_path = ["/secret/{rest:path}"]
if = "request.headers['x-role'] != 'staff'"
[policy.mark]
type = "headers"
request.set = { x-mark = "in" }
response.set = { x-mark = "out" }
if = "has(request.query.mark) && request.method in ['GET', 'HEAD']"
"""


def _conditional(front: Front, echo: EchoUpstream) -> RawClient:
    route = 'match = "/{rest:path}"\nuse = ["guard", "mark"]'
    return RawClient(front(echo, route=route, more=CONDITIONAL).address())


def test_a_policy_acts_only_where_its_condition_holds(front: Front, echo: EchoUpstream):
    with _conditional(front, echo) as client:
        marked, plain = client.get("/?mark=1"), client.get("/?other=1")
    assert (marked.header("x-mark"), echo.requests[0].header("x-mark")) == ("out", "in")
    assert (plain.header("x-mark"), echo.requests[1].header("x-mark")) == (None, None)


def test_where_a_condition_cannot_tell_the_policy_acts(front: Front, echo: EchoUpstream):
    """A field that is not there is an error in CEL: leaving it out must not switch the filter off."""
    with _conditional(front, echo) as client:
        assert client.get("/secret/x", [("x-role", "staff")]).status == HTTPStatus.OK
        assert client.get("/secret/x", [("x-role", "guest")]).status == HTTPStatus.FORBIDDEN
    with _conditional(front, echo) as client:
        assert client.get("/secret/x").status == HTTPStatus.FORBIDDEN


def test_a_dry_run_is_told_and_changes_nothing(front: Front, echo: EchoUpstream, tmp_path: Path):
    log = tmp_path / "access.log"
    more = f"""{ADMIN}
[policy.guard]
type = "filter"
enforce = 0
deny_path = ["/secret"]
[policy.mark]
type = "headers"
enforce = 0
response.set = {{ x-mark = "out" }}
[policy.other]
type = "headers"
enforce = 0
response.set = {{ x-other = "out" }}
if = "request.path == '/nowhere'"
"""
    gateway = front(
        echo,
        pylos=f'access_log = {{ path = "{log}" }}',
        route='match = "/{rest:path}"\nuse = ["guard", "mark", "other"]',
        more=more,
    )
    with RawClient(gateway.address()) as client:
        answers = [client.get("/secret"), client.get("/open")]
    with RawClient(gateway.address("ops")) as client:
        metrics = client.get("/metrics").text.splitlines()
    gateway.stop()
    assert [(answer.status, answer.header("x-mark")) for answer in answers] == [(200, None), (200, None)]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    would = [line["would"] for line in lines if line["listener"] == "http"]
    assert would == [["guard:path_denied", "mark:headers"], ["mark:headers"]]
    for series in ('{policy="guard"} 1', '{policy="mark"} 2', '{policy="other"} 0'):
        assert f"pylos_policy_would_total{series}" in metrics


def test_enforcement_is_one_draw_for_a_request(front: Front, echo: EchoUpstream):
    """Half of the requests have it, in both directions or in none, and the id decides."""
    more = """
[policy.mark]
type = "headers"
enforce = 50
request.set = { x-mark = "in" }
response.set = { x-mark = "out" }
"""
    gateway = front(echo, pylos=TRUSTING, route='match = "/{rest:path}"\nuse = ["mark"]', more=more)

    def ask(number: int) -> Response:
        return client.get("/", [("x-request-id", f"id-{number}")])

    with RawClient(gateway.address()) as client:
        first = [ask(number).header("x-mark") for number in range(200)]
        again = [ask(number).header("x-mark") for number in range(200)]
    sent = [request.header("x-mark") for request in echo.requests]
    assert first == again
    assert [mark is None for mark in sent] == [mark is None for mark in first + again]
    assert 60 < sum(mark is not None for mark in first) < 140
