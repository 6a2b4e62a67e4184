"""What authorities are answered: of several storages, whatever becomes of one of them."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pylos.errors import PylosError
from pylos.supervisor.acme.answers import Answers
from pylos.supervisor.challenges import NOTHING, Challenges, Order

FIRST, SECOND = {"one": "one.x"}, {"two": "two.x"}


class Stored:
    """As much of a certifier as is asked here."""

    def __init__(self, look: Callable[[], Answers]) -> None:
        self.answers = look


def following(*looks: Callable[[], Answers]) -> list[Any]:
    return [Stored(look) for look in looks]


def run(look: Callable[[], Answers]) -> list[Order]:
    """Look into a storage with an answer and, first, into another one; gives what was told until that answer was."""
    told: list[Order] = []
    known = asyncio.Event()

    async def tell(order: Order) -> None:
        told.append(order)
        if SECOND.items() <= order["tokens"].items():
            known.set()

    async def story() -> None:
        challenges = Challenges(tell)
        await challenges.follow(following(look, lambda: Answers(SECOND)))
        await asyncio.wait_for(known.wait(), 10)
        await challenges.stop()

    asyncio.run(story())
    return told


def test_all_are_told_together():
    assert run(lambda: Answers(FIRST)) == [{**NOTHING, "tokens": FIRST | SECOND}]


def test_one_that_hangs_holds_up_no_other():
    go_on = threading.Event()

    def hang() -> Answers:
        go_on.wait(20)
        return Answers(FIRST)

    assert run(hang) == [{**NOTHING, "tokens": SECOND}]
    go_on.set()


@pytest.mark.parametrize("error", [PylosError("the server is down"), RuntimeError("a defect")])
def test_one_that_fails_takes_no_answers_away_and_is_told_of_once(error: Exception, capsys: pytest.CaptureFixture[str]):
    def fail() -> Answers:
        raise error

    assert run(fail) == [{**NOTHING, "tokens": SECOND}]
    assert capsys.readouterr().err.count('"event": "challenges_failed"') == 1


def test_what_is_on_its_way_arrives_whole():
    """To stop is to wait for it: half a message would spoil all that come after it."""
    arrived: list[Order] = []

    async def story() -> None:
        begun = asyncio.Event()

        async def tell(order: Order) -> None:
            begun.set()
            await asyncio.sleep(0.05)
            arrived.append(order)

        challenges = Challenges(tell)
        await challenges.follow(following(lambda: Answers(FIRST)))
        await asyncio.wait_for(begun.wait(), 10)
        await challenges.stop()
        assert arrived == [{**NOTHING, "tokens": FIRST}]

    asyncio.run(story())
