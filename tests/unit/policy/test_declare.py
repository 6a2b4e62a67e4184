"""`@policy`, its verdicts and its fields: what is accepted, and what is said about what is not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pydantic import BaseModel

from pylos.policy import Allow, Answer, Deny, Edit, Headers, Request, Response, policy
from pylos.policy.declare import PHASES, Phase


class Settings(BaseModel):
    most: int = 1


def test_a_policy_stays_the_function_that_it_was():
    @policy
    def one(request: Request) -> Deny:
        return Deny()

    @policy(phase="authorise", settings=Settings, body="64KiB", lane="slow")
    async def two(request: Request, settings: Settings) -> None: ...

    assert (one.name, one.phase, one.is_async, one.body) == ("one", "hooks", False, None)
    assert one(None) == Deny()
    assert (two.name, two.phase, two.is_async, two.body, two.lane) == ("two", "authorise", True, 65536, "slow")
    assert two.settings is Settings

    @policy.key
    def three(request: Request) -> str | None: ...

    @policy.key(settings=Settings, body="1KiB", blocking=True, lane="slow")
    def four(request: Request, settings: Settings) -> Allow:
        return Allow(key="x", remember="1m", by=["client.id"])

    assert (three.name, three.phase, three.gives_key, one.gives_key) == ("three", "limits", True, False)
    assert (four.phase, four.settings, four.body, four.blocking, four.lane) == ("limits", Settings, 1024, True, "slow")


async def coroutine(request: Request) -> None: ...


async def review(request: Request, response: Response) -> None: ...


def test_a_policy_of_answers():
    @policy.response
    def one(request: Request, response: Response) -> Edit:
        return Edit(headers={"content-type": "text/x"})

    made = policy.response(settings=Settings, blocking=True, lane="slow")(lambda request, response, settings: None)

    assert (one.name, one.phase, one.answers, one.body) == ("one", "transform", True, None)
    assert (made.settings, made.blocking, made.lane) == (Settings, True, "slow")
    assert not policy(lambda request: None).answers


@pytest.mark.parametrize(
    "declare, words",
    [
        (lambda: policy(lambda: None), "called with a request: too many positional"),
        (lambda: policy(lambda request, settings: None), "missing a required argument: 'settings'"),
        (lambda: policy(settings=Settings)(lambda request: None), "a request and its settings"),
        (lambda: policy(phase="before"), "no phase 'before' for policies; there are identity, authorise, hooks"),
        (lambda: policy(phase=cast("Any", "transform")), "no phase 'transform' for policies"),
        (lambda: policy.response(lambda request: None), "called with a request and its answer: too many positional"),
        (
            lambda: policy.response(settings=Settings)(lambda request, answer: None),
            "called with a request, its answer and its settings: too many positional",
        ),
        (lambda: policy.response(blocking=True)(review), "`blocking` is for a `def` that waits"),
        (lambda: policy(phase=cast("Any", "limits")), "no phase 'limits' for policies"),
        (lambda: policy.key(lambda: None), "called with a request: too many positional"),
        (lambda: policy.key(settings=Settings)(lambda request: None), "a request and its settings"),
        (lambda: policy.key(blocking=True)(coroutine), "`blocking` is for a `def` that waits"),
        (lambda: policy.key(body="1MiB"), "at most 256KiB"),
        (lambda: policy(body="64kb"), "unknown unit `kb`"),
        (lambda: policy(blocking=True)(coroutine), "`blocking` is for a `def` that waits"),
        (lambda: Deny(200), "400 to 599, not 200"),
        (lambda: Deny(code="Not Me"), "'Not Me' is no code"),
        (lambda: Deny(headers={"x": "a\nb"}), "control characters"),
        (lambda: Answer(199), "200 to 599"),
        (lambda: Answer(204, "x"), "an answer 204 has no body"),
        (lambda: Answer(content_type="a\r\nx: y"), "control characters"),
        (lambda: Allow(headers={"bad name": "x"}), "cannot be the name of a field"),
        (lambda: Allow(headers={"Content-Length": "1"}), "is written by the gateway"),
        (lambda: Allow(headers={"x": " a"}), "blanks at its ends"),
        (lambda: Allow(path="a"), "is no path"),
        (lambda: Allow(path="/a?b"), "is no path"),
        (lambda: Allow(query="a b"), "is no query"),
        (lambda: Edit(199), "200 to 599, not 199"),
        (lambda: Edit(204), "an answer 204 has no body"),
        (lambda: Edit(headers={"Content-Length": "1"}), "is written by the gateway"),
        (lambda: Edit(headers={"date": None}), "is written by the gateway"),
        (lambda: Edit(headers={"x": "a\nb"}), "control characters"),
        (lambda: Allow(key=""), "a key of 0 bytes: it has 1 to 256"),
        (lambda: Allow(key="é" * 129), "a key of 258 bytes"),
        (lambda: Allow(key="\udc80"), "bytes that are no UTF-8"),
        (lambda: Allow(remember="60s"), "belong together"),
        (lambda: Allow(by=["client.id"]), "belong together"),
        (lambda: Allow(remember="1s", by=["client.shoe"]), "is nothing of a request or its client"),
        (lambda: Allow(remember="1s", by=["request.headers.host"]), "the host is not asked for as a field"),
        (lambda: Deny(remember="1s", by=["request.headers.x y"]), "no name of a field"),
        (lambda: Deny(remember="1s", by=["client.id"] * 17), "at most 16"),
        (lambda: Allow(remember="60", by=["client.id"]), "has no unit"),
    ],
)
def test_what_cannot_be_is_refused_in_words(declare: Callable[[], Any], words: str):
    with pytest.raises((TypeError, ValueError)) as caught:
        declare()
    assert words in str(caught.value)
    assert "pydantic" not in type(caught.value).__module__


def test_fields_have_no_letter_case_and_keep_their_order():
    headers = Headers([("B", "1"), ("a", "2"), ("b", "3"), ("X_Y", "4"), ("Cookie", "m=1"), ("cookie", "n=2")])

    assert list(headers) == ["b", "a", "x-y", "cookie"]
    assert (headers["b"], headers["x-Y"], headers["COOKIE"]) == ("1, 3", "4", "m=1; n=2")
    assert headers.get_all("b") == ["1", "3"]
    assert headers.get_all("none") == []
    assert "x_y" in headers
    assert 7 not in headers
    assert headers.lines()[2] == ("b", "3")
    assert "2" not in repr(headers)
    with pytest.raises(KeyError):
        headers["none"]


def test_the_phases_are_those_of_the_core():
    core = (Path(__file__).parents[3] / "crates/core/src/table/policy.rs").read_text()
    phases = re.findall(r'Phase::\w+ => "(\w+)"', core)

    assert phases == ["filter", "identity", "authorise", "limits", "hooks", "transform"]
    assert get_args(Phase) == tuple(phases[1:]), "no policy in Python is a filter"
    assert PHASES == ("identity", "authorise", "hooks")
