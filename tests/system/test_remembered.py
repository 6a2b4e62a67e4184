"""Decisions of policies in Python that are remembered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import pylos
from pylos import Gateway
from pylos.testing import EchoUpstream, GatewayUnderTest, RawClient

REMEMBERED = """
import asyncio
from pylos import Allow, Answer, Deny, Request, policy

asked = 0
waits, goes_on = asyncio.Event(), asyncio.Event()

@policy
async def counts(request: Request) -> Allow | Deny:
    global asked
    asked += 1
    who = request.headers.get("x-user", "nobody")
    if who == "lost":
        return Allow(upstream="nowhere", remember="1m", by=["request.headers.x-user"])
    if who == "large":
        claims = {"long": "x" * 3000}
        return Allow(headers={"x-asked": str(asked)}, claims=claims, remember="1m", by=["request.headers.x-user"])
    if who == "slow":
        now = asked
        waits.set()
        await goes_on.wait()
        return Allow(headers={"x-asked": str(now)}, remember="1m", by=["request.headers.x-user"])
    if who == "is slow asked":
        await waits.wait()
        return Answer(204)
    if who == "go on":
        goes_on.set()
        return Answer(204)
    if who == "evil":
        return Deny(code="evil", remember="1m", by=["request.headers.x-user"])
    return Allow(headers={"x-asked": str(asked)}, remember="1m", by=["request.headers.x-user"])

@policy
def moves(request: Request) -> Allow:
    return Allow(upstream="blue", remember="1m", by=["client.ip"])

@policy(phase="identity")
def who(request: Request) -> Allow:
    return Allow(claims={"org": {"id": request.headers["x-org"]}})

@policy(phase="authorise")
def member(request: Request) -> Allow | Deny:
    by = ["client.claims.org.id", "request.route"]
    if request.client.claims["org"]["id"] == "good":
        return Allow(remember="1m", by=by)
    return Deny(code="bad_org", remember="1m", by=by)
"""
BLUE = """
[upstream.blue]
targets = ["http://127.0.0.1:1"]
health = false
"""


@pytest.fixture
def remembering(tmp_path: Path, echo: EchoUpstream) -> Iterator[GatewayUnderTest]:
    (tmp_path / "remembered.py").write_text(REMEMBERED)
    file = tmp_path / "remembered.toml"
    file.write_text(
        f"""
[pylos]
access_log = false
workers = 2
lanes = 1
[listen.http]
bind = "127.0.0.1:0"
[listen.ops]
bind = "127.0.0.1:0"
serve = ["metrics", "health"]
[upstream.app]
targets = ["{echo.url}"]
health = false
{BLUE}
[policy.counts]
type = "python"
call = "remembered:counts"
timeout = "10s"
[policy.moves]
type = "python"
call = "remembered:moves"
[policy.who]
type = "python"
call = "remembered:who"
[policy.member]
type = "python"
call = "remembered:member"
if = "client.claims.org.id != ''"
[route.moved]
match = "/moved"
to = "app"
use = ["moves"]
[route.members]
match = "/members"
to = "app"
use = ["who", "member"]
[route.all]
match = "/{{rest:path}}"
to = "app"
use = ["counts"]
"""
    )
    with GatewayUnderTest(file) as gateway:
        yield gateway


def asked_by(gateway: Gateway, echo: EchoUpstream, user: str) -> str | int:
    """The number of the question that decided about a request, or the status of a refusal."""
    with RawClient(gateway.address()) as client:
        status = client.get("/", [("x-user", user)]).status
    return dict(echo.requests[-1].headers)["x-asked"] if status == 200 else status


def test_a_decision_is_remembered_for_requests_that_are_alike(remembering: Gateway, echo: EchoUpstream) -> None:
    asked = [asked_by(remembering, echo, user) for user in ("a", "b", "a", "a", "b", "evil", "evil", "c")]
    assert asked == ["1", "2", "1", "1", "2", 403, 403, "4"], "whichever of the workers had the connection"
    with RawClient(remembering.address("ops")) as client:
        page = client.get("/metrics").text
    assert 'pylos_policy_asked_total{policy="counts",result="remembered"} 4' in page


def test_what_makes_no_sense_or_is_large_is_not_remembered(remembering: Gateway, echo: EchoUpstream) -> None:
    assert [asked_by(remembering, echo, "lost") for _ in range(2)] == [503, 503]
    assert [asked_by(remembering, echo, "large") for _ in range(2)] == ["3", "4"]


def test_a_decision_about_one_client_holds_for_no_other(remembering: Gateway) -> None:
    with RawClient(remembering.address()) as client:
        found = [client.get("/members", [("x-org", org)]).status for org in ("evil", "good", "evil", "good")]
    assert found == [403, 200, 403, 200]


def test_one_that_leads_to_an_upstream_that_is_gone_holds_no_more(remembering: Gateway, tmp_path: Path) -> None:
    def moved() -> tuple[int, str | None]:
        with RawClient(remembering.address()) as client:
            answer = client.get("/moved")
        return answer.status, answer.header("pylos-reason")

    assert moved() == (502, "upstream_connect_failed")
    file = tmp_path / "remembered.toml"
    file.write_text(file.read_text().replace(BLUE, ""))
    remembering.reload()
    assert moved() == (503, "policy_failed"), "and the request does not go to the route's own upstream"


def test_what_is_being_asked_while_it_forgets_is_not_remembered(remembering: Gateway, echo: EchoUpstream) -> None:
    with RawClient(remembering.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nX-User: slow\r\n\r\n")
        assert asked_by(remembering, echo, "is slow asked") == 204
        remembering.forget("counts")
        assert asked_by(remembering, echo, "go on") == 204
        assert client.read_response().status == 200
    assert [asked_by(remembering, echo, "slow") for _ in range(2)] == ["4", "4"]


def test_it_is_forgotten_when_told_and_when_the_policy_changes(
    remembering: Gateway, echo: EchoUpstream, tmp_path: Path
) -> None:
    assert [asked_by(remembering, echo, "a") for _ in range(2)] == ["1", "1"]
    assert remembering.forget() == ["counts", "member", "moves", "who"]
    assert asked_by(remembering, echo, "a") == "2"
    assert remembering.forget("counts") == ["counts"]
    with pytest.raises(pylos.PylosError, match="no policy `other` in Python; known are counts, member"):
        remembering.forget("other")
    assert asked_by(remembering, echo, "a") == "3"
    (tmp_path / "remembered.py").write_text(REMEMBERED.replace("asked = 0", "asked = 40", 1))
    remembering.reload()
    assert asked_by(remembering, echo, "a") == "41"


def test_explain_tells_what_is_remembered(remembering: GatewayUnderTest, echo: EchoUpstream) -> None:
    def told(user: str) -> tuple[str, str]:
        explained = remembering.explain("GET", "/", headers={"x-user": user})
        effect = explained.policy("counts").effect
        seconds = re.search(r"in (\d+) s again", effect)
        assert seconds is None or 40 <= int(seconds[1]) <= 50
        return effect.replace(seconds[1], "so many") if seconds else effect, str(explained.reason)

    assert told("a")[0] == "asks remembered:counts; here it lets pass"
    assert asked_by(remembering, echo, "a") == "1"
    remembering.advance("10s")
    again = "asks remembered:counts in so many s again"
    assert told("a")[0] == f"{again}: until then it lets pass, changed, as remembered"
    assert told("b")[0] == "asks remembered:counts; here it lets pass"
    assert asked_by(remembering, echo, "evil") == 403
    remembering.advance("10s")
    assert told("evil") == (f"{again}: until then it refuses, 403 evil, as remembered", "evil")
    remembering.forget("counts")
    assert told("a")[0] == "asks remembered:counts; here it lets pass"


ODD = {"as_": {"id": "a", "claims": {"x": float("nan"), "y": "\udce9"}}}
"""What Python writes as JSON, and nobody else reads."""


def test_a_question_that_makes_no_sense_is_told_and_disturbs_nobody(
    remembering: GatewayUnderTest, echo: EchoUpstream
) -> None:
    assert asked_by(remembering, echo, "a") == "1"
    for beside in ({"peer": "localhost"}, {"nearest": -1}, {"as_": {"name": "x"}}, {"listener": "none"}, ODD):
        with pytest.raises(pylos.PylosError, match=r"not a request|no listener"):
            remembering.explain("GET", "/", **cast("Any", beside))
    assert asked_by(remembering, echo, "a") == "1", "the gateway is the same, and knows what it knew"


def test_it_holds_as_long_as_it_says(remembering: GatewayUnderTest, echo: EchoUpstream) -> None:
    assert asked_by(remembering, echo, "a") == "1"
    remembering.advance("59s")
    assert asked_by(remembering, echo, "a") == "1"
    remembering.advance("1s")
    assert asked_by(remembering, echo, "a") == "2"


def test_a_reload_that_changes_something_else_forgets_nothing(
    remembering: Gateway, echo: EchoUpstream, tmp_path: Path
) -> None:
    assert asked_by(remembering, echo, "a") == "1"
    file = tmp_path / "remembered.toml"
    file.write_text(file.read_text() + '[route.more]\nmatch = "/more"\nrespond = { text = "x" }\n')
    remembering.reload()
    assert asked_by(remembering, echo, "a") == "1"
