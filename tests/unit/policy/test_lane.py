"""A lane, asked over its rings: every kind of verdict and of failure, each answered once and for its own request."""

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextvars import ContextVar
from typing import cast

import pytest
from pydantic import BaseModel

from pylos._core import Call, Caller, Lane
from pylos.policy import Allow, Answer, Deny, Policy, Request, policy
from pylos.policy.answer import Kind
from pylos.policy.current import current
from pylos.policy.lane import Room
from pylos.policy.load import Loaded

FIELDS = b"host: a.example\r\nX-Tenant: acme\r\nx_tenant: other\r\ncookie: a=1\r\ncookie: b=\xff\r\n"
Told = dict[int, tuple[Kind, bytes]]


class Asked:
    """A room with these policies, and who asks it."""

    def __init__(
        self, policies: Sequence[Policy], settings: Sequence[object] | None = None, concurrency: int | None = None
    ) -> None:
        self.failures: list[tuple[str, str]] = []
        self._caller = Caller()
        jobs, answers, bell, self._back = self._caller.descriptors()
        taken = [os.dup(one) for one in (jobs, answers, bell, self._back)]
        given = settings or [None] * len(policies)
        loaded = [Loaded(*one, concurrency) for one in zip(policies, cast("Sequence[BaseModel]", given), strict=True)]
        room = Room(loaded, self.failed)
        room.attach(Lane(*taken), taken[2])

    def failed(self, call: Call, failure: BaseException) -> None:
        self.failures.append((call.request_id, "".join(traceback.format_exception(failure))))

    async def ask(self, *policies: int, target: str = "/a%20b?x=1&x=2&y") -> Told:
        """Ask these policies, the first about request number 0; gives all answers by the request's number."""
        for number, one in enumerate(policies):
            self._caller.ask(number, one, "GET", target, FIELDS)
        self._caller.flush()
        told: Told = {}
        rung = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._back, rung.set)
        async with asyncio.timeout(10):
            while len(told) < len(policies):
                await rung.wait()
                rung.clear()
                for number, kind, rest in self._caller.answers():
                    assert number not in told
                    told[number] = (Kind(kind), rest)
        asyncio.get_running_loop().remove_reader(self._back)
        return told


def asked(*policies: Policy, settings: Sequence[object] | None = None) -> tuple[Told, list[tuple[str, str]]]:
    """Ask each policy once."""

    async def ask() -> tuple[Told, list[tuple[str, str]]]:
        one = Asked(policies, settings)
        return await one.ask(*range(len(policies))), one.failures

    return asyncio.run(ask())


@policy
def passes(request: Request) -> None:
    """Let it pass."""


@policy
async def passes_later(request: Request) -> Allow:
    await asyncio.sleep(0)
    return Allow()


@policy
def changes(request: Request) -> Allow:
    return Allow(headers={"x-a": ["1", "2"], "x-b": None}, path="/new", remember="60s", by=["client.id"])


@policy
async def denies(request: Request) -> Deny:
    return Deny(429, "too_many", headers={"retry-after": "3"})


@policy(blocking=True)
def answers(request: Request) -> Answer:
    return Answer(body=f"{request.id} in a thread")


def test_each_kind_of_verdict_is_told():
    told, failures = asked(passes, passes_later, changes, denies, answers)

    assert failures == []
    assert (told[0], told[1]) == ((Kind.PASS, b""), (Kind.PASS, b""))
    kind, rest = told[2]
    assert (kind, json.loads(rest)) == (
        Kind.ALLOW,
        {
            "set": [["x-a", "1"], ["x-a", "2"]],
            "remove": ["x-b"],
            "path": "/new",
            "remember_ms": 60000,
            "by": ["client.id"],
        },
    )
    kind, rest = told[3]
    assert kind == Kind.DENY
    assert json.loads(rest) == {
        "status": 429,
        "code": "too_many",
        "detail": None,
        "headers": [["retry-after", "3"]],
    }
    kind, rest = told[4]
    length = int.from_bytes(rest[:4], "little")
    assert (kind, json.loads(rest[4 : 4 + length])["status"], rest[4 + length :]) == (
        Kind.ANSWER,
        200,
        b"4 in a thread",
    )


def test_a_policy_sees_what_the_upstream_gets():
    seen: dict[str, object] = {}

    @policy
    def looks(request: Request) -> None:
        seen.update(
            method=request.method,
            scheme=request.scheme,
            host=request.host,
            path=request.path,
            query=request.query,
            params=request.params,
            id=request.id,
            ip=request.client.ip,
            client=request.client.id,
            body=request.body,
            tenant=request.headers["x-tenant"],
            tenants=request.headers.get_all("X_TENANT"),
            cookie=request.headers["Cookie"],
            none=request.headers.get("x-none"),
            names=list(request.headers),
        )

    asked(looks)
    assert seen == {
        "method": "GET",
        "scheme": "http",
        "host": "localhost",
        "path": "/a%20b",
        "query": "x=1&x=2&y",
        "params": {"x": ["1", "2"], "y": [""]},
        "id": "0",
        "ip": "127.0.0.1",
        "client": "ip:127.0.0.1",
        "body": None,
        "tenant": "acme, other",
        "tenants": ["acme", "other"],
        "cookie": "a=1; b=\udcff",
        "none": None,
        "names": ["host", "x-tenant", "cookie"],
    }


@policy
def raises(request: Request) -> None:
    raise KeyError("a secret")


@policy
async def raises_later(request: Request) -> None:
    await asyncio.sleep(0)
    raise KeyError("later")


@policy
def leaves(request: Request) -> None:
    sys.exit("I want out")


@policy
async def leaves_later(request: Request) -> None:
    sys.exit(1)


@policy(blocking=True)
def leaves_its_thread(request: Request) -> None:
    sys.exit(1)


@policy
def gives_a_word(request: Request) -> Deny:
    return cast("Deny", "yes")


@policy
def gives_what_cannot_be(request: Request) -> Deny:
    return Deny(200)


@policy
def gives_too_much(request: Request) -> Answer:
    return Answer(body=b"x" * (1 << 20))


@pytest.mark.parametrize(
    "broken, words",
    [
        (raises, "KeyError: 'a secret'"),
        (raises_later, "KeyError: 'later'"),
        (leaves, "SystemExit: I want out"),
        (leaves_later, "SystemExit: 1"),
        (leaves_its_thread, "SystemExit: 1"),
        (gives_a_word, "a policy gives Allow, Deny, Answer or None, not str"),
        (gives_what_cannot_be, "a refusal has a status of 400 to 599, not 200"),
        (gives_too_much, "the answer is too long: "),
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else "",
)
def test_a_policy_that_fails_fails_alone(broken: Policy, words: str):
    told, failures = asked(passes, broken, passes)

    assert told == {0: (Kind.PASS, b""), 1: (Kind.FAILED, b""), 2: (Kind.PASS, b"")}
    ((request, failure),) = failures
    assert request == "1"
    assert words in failure


def test_one_that_waits_does_not_hold_up_the_others():
    order: list[str] = []

    @policy(blocking=True)
    def slow(request: Request) -> None:
        time.sleep(0.2)
        order.append("slow")

    @policy
    async def waits(request: Request) -> None:
        await asyncio.sleep(0.1)
        order.append("waits")

    @policy
    def quick(request: Request) -> None:
        order.append("quick")

    told, _ = asked(slow, waits, quick)
    assert set(told.values()) == {(Kind.PASS, b"")}
    assert order == ["quick", "waits", "slow"]


class Limits(BaseModel):
    most: int


def test_a_policy_gets_its_settings():
    @policy(settings=Limits)
    def limited(request: Request, limits: Limits) -> Deny:
        return Deny(400 + limits.most)

    told, _ = asked(limited, settings=[Limits(most=7)])
    assert json.loads(told[0][1])["status"] == 407


def test_a_policy_knows_its_request_wherever_it_runs():
    ids: list[str] = []

    def note() -> None:
        call = current()
        ids.append(call.request_id if call else "none")

    @policy
    async def later(request: Request) -> None:
        await asyncio.sleep(0)
        note()

    @policy(blocking=True)
    def aside(request: Request) -> None:
        note()

    @policy
    def here(request: Request) -> None:
        note()

    asked(later, aside, here, later)
    assert sorted(ids) == ["0", "1", "2", "3"]


@policy(blocking=True)
def stops_an_iteration(request: Request) -> None:
    raise StopIteration


@policy
async def claims_too_deep(request: Request) -> Allow:
    claims: dict[str, object] = {}
    for _ in range(100_000):
        claims = {"claim": claims}
    return Allow(claims=claims)


@policy
def claims_what_is_no_json(request: Request) -> Allow:
    return Allow(claims={"when": object()})


@pytest.mark.parametrize(
    "broken", [stops_an_iteration, claims_too_deep, claims_what_is_no_json], ids=lambda one: one.name
)
def test_whatever_goes_wrong_the_request_is_answered(broken: Policy):
    told, failures = asked(passes, broken, passes)

    assert [told[number][0] for number in range(3)] == [Kind.PASS, Kind.FAILED, Kind.PASS]
    assert [request for request, _ in failures] == ["1"]


def test_a_query_that_can_be_read_in_two_ways_is_refused():
    @policy
    def admins(request: Request) -> Deny | None:
        return Deny(code="admins_only") if "admin" in request.params.get("role", []) else None

    for target, code in {
        "/?role=admin": "admins_only",
        "/?role=user&role=admin": "admins_only",
        "/?x=1;role=admin": "bad_query",
        "/?a=%x&role=admin": "bad_query",
    }.items():

        async def ask(target: str = target) -> Told:
            return await Asked([admins]).ask(0, target=target)

        kind, rest = asyncio.run(ask())[0]
        assert (kind, json.loads(rest)["code"]) == (Kind.DENY, code), target


def test_answers_do_not_wait_for_all_questions():
    """With more to do than can be done, what is answered is told at once, and others have their turn."""

    @policy
    def slow(request: Request) -> None:
        time.sleep(0.001)

    async def ask() -> list[int]:
        one = Asked([slow])
        for number in range(400):
            one._caller.ask(number, 0, "GET", "/", b"")
        one._caller.flush()
        seen: list[int] = []
        while sum(seen) < 400:
            await asyncio.sleep(0)  # the lane's turn, which is bounded
            seen.append(len(one._caller.answers()))
        return seen

    turns = [count for count in asyncio.run(ask()) if count]
    assert len(turns) > 20
    assert max(turns) < 40


def test_many_requests_keep_their_answers_apart():
    @policy
    def mirrors(request: Request) -> Answer | None:
        return Answer(body=request.id) if int(request.id) % 3 else None

    async def ask() -> Told:
        return await Asked([mirrors]).ask(*[0] * 2000, target="/")

    told = asyncio.run(ask())
    for number, (kind, rest) in told.items():
        assert (kind == Kind.ANSWER) == bool(number % 3)
        assert kind == Kind.PASS or rest.endswith(b"}" + str(number).encode())


def test_answers_that_find_no_room_come_when_there_is_some():
    @policy
    def long(request: Request) -> Answer:
        return Answer(body=request.id.zfill(100_000))

    async def ask() -> Told:
        return await Asked([long]).ask(*[0] * 100, target="/")

    told = asyncio.run(ask())
    assert all(told[number][1].endswith(str(number).zfill(100_000).encode()) for number in range(100))


@policy
async def waits_in_time(_: Request) -> Deny | None:
    """The first step and the others are in one task and one context."""
    before, tag = asyncio.current_task(), TAG.set("mine")
    async with asyncio.timeout(5):
        await asyncio.sleep(0.001)
    same = asyncio.current_task() is before and TAG.get() == "mine"
    TAG.reset(tag)
    return None if same else Deny(500, "another_task")


@policy
async def waits_too_long(_: Request) -> Allow:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(10)
    except TimeoutError:
        return Allow(path="/in-time")
    return Allow()


@policy
async def has_children(_: Request) -> Allow:
    async def child(number: int) -> int:
        await asyncio.sleep(0)
        call = current()
        return number if call is not None else 0

    async with asyncio.TaskGroup() as group:
        children = [group.create_task(child(number)) for number in (1, 2)]
    return Allow(path=f"/{sum(one.result() for one in children)}")


@policy
async def cancels_itself(_: Request) -> Allow:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        task.uncancel()
        return Allow(path="/cancelled")
    return Allow()


@policy
async def cancels_and_ends(_: Request) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@policy
async def leaves_something(_: Request) -> Allow:
    found = TAG.get()
    TAG.set("another's")
    return Allow(path=f"/{found}")


@policy
async def fails_at_once(_: Request) -> None:
    raise LookupError("at once")


refreshed: list[asyncio.Task[int]] = []


async def refresh() -> int:
    await asyncio.sleep(0.001)
    return 7


@policy
async def waits_with_others(_: Request) -> Allow:
    """One does it, and all wait for that."""
    if not refreshed or refreshed[0].done():
        refreshed[:] = [asyncio.create_task(refresh())]
    return Allow(path=f"/{await refreshed[0]}")


TAG = ContextVar("tag", default="none")
COROUTINES = {
    waits_in_time: (Kind.PASS, b""),
    waits_too_long: (Kind.ALLOW, b'{"path":"/in-time"}'),
    has_children: (Kind.ALLOW, b'{"path":"/3"}'),
    cancels_itself: (Kind.ALLOW, b'{"path":"/cancelled"}'),
    cancels_and_ends: (Kind.PASS, b""),
    leaves_something: (Kind.ALLOW, b'{"path":"/none"}'),
    fails_at_once: (Kind.FAILED, b""),
    waits_with_others: (Kind.ALLOW, b'{"path":"/7"}'),
}


def test_a_coroutine_that_begins_at_once_finds_all_as_in_a_task_of_its_own():
    """Each alone, when the task that stands in is ready; all together, when it is not; and again after each other."""

    async def ask() -> list[tuple[int, tuple[Kind, bytes]]]:
        one = Asked(list(COROUTINES))
        await asyncio.sleep(0)
        told: list[tuple[int, tuple[Kind, bytes]]] = []
        for number in [*range(len(COROUTINES)), *reversed(range(len(COROUTINES)))]:
            told += [(number, (await one.ask(number))[0])]
            await asyncio.sleep(0)
        together = [*range(len(COROUTINES))] * 2 + [list(COROUTINES).index(waits_with_others)] * 5
        answers = await one.ask(*together)
        return told + [(number, answers[at]) for at, number in enumerate(together)]

    wanted = list(COROUTINES.values())
    told = asyncio.run(ask(), debug=True)
    assert told == [(number, wanted[number]) for number, _ in told]
    assert len(told) == 4 * len(wanted) + 5


def test_what_one_waits_for_others_may_wait_for_in_the_same_turn():
    """Of those that come together only the first one begins at once, in the name of a task that stands in."""

    async def ask() -> Told:
        one = Asked([waits_with_others])
        await asyncio.sleep(0.01)
        return await one.ask(*[0] * 10)

    assert set(asyncio.run(ask()).values()) == {(Kind.ALLOW, b'{"path":"/7"}')}
