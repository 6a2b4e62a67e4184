"""Decisions of policies in Python that are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pylos
from pylos import Gateway
from pylos.testing import EchoUpstream, RawClient

REMEMBERED = """
import asyncio
from pylos import Allow, Deny, Request, policy

asked = 0

@policy
async def counts(request: Request) -> Allow | Deny:
    global asked
    asked += 1
    who = request.headers.get("x-user", "nobody")
    if who == "broken":
        raise RuntimeError("not today")
    if who == "evil":
        return Deny(code="evil", remember="1m", by=["request.headers.x-user"])
    return Allow(headers={"x-asked": str(asked)}, remember="1m", by=["request.headers.x-user"])
"""


@pytest.fixture
def remembering(tmp_path: Path, echo: EchoUpstream) -> Iterator[Gateway]:
    (tmp_path / "remembered.py").write_text(REMEMBERED)
    file = tmp_path / "remembered.toml"
    file.write_text(
        f"""
[pylos]
access_log = false
workers = 2
[listen.http]
bind = "127.0.0.1:0"
[listen.ops]
bind = "127.0.0.1:0"
serve = ["metrics", "health"]
[upstream.app]
targets = ["{echo.url}"]
health = false
[policy.counts]
type = "python"
call = "remembered:counts"
[route.all]
match = "/{{rest:path}}"
to = "app"
use = ["counts"]
"""
    )
    with Gateway(file) as gateway:
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


def test_an_error_is_never_remembered(remembering: Gateway, echo: EchoUpstream) -> None:
    assert [asked_by(remembering, echo, "broken") for _ in range(2)] == [503, 503]
    assert asked_by(remembering, echo, "a") == "3"


def test_it_is_forgotten_when_told_and_when_the_policy_changes(
    remembering: Gateway, echo: EchoUpstream, tmp_path: Path
) -> None:
    assert [asked_by(remembering, echo, "a") for _ in range(2)] == ["1", "1"]
    assert remembering.forget() == ["counts"]
    assert asked_by(remembering, echo, "a") == "2"
    assert remembering.forget("counts") == ["counts"]
    with pytest.raises(pylos.PylosError, match="no policy `other` in Python; known are counts"):
        remembering.forget("other")
    assert asked_by(remembering, echo, "a") == "3"
    (tmp_path / "remembered.py").write_text(REMEMBERED.replace("asked = 0", "asked = 40", 1))
    remembering.reload()
    assert asked_by(remembering, echo, "a") == "41"


def test_a_reload_that_changes_something_else_forgets_nothing(
    remembering: Gateway, echo: EchoUpstream, tmp_path: Path
) -> None:
    assert asked_by(remembering, echo, "a") == "1"
    file = tmp_path / "remembered.toml"
    file.write_text(file.read_text() + '[route.more]\nmatch = "/more"\nrespond = { text = "x" }\n')
    remembering.reload()
    assert asked_by(remembering, echo, "a") == "1"
