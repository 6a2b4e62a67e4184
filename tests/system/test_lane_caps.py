"""How much of a policy in Python runs at once, and how many requests may wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from pylos.testing import GatewayUnderTest, RawClient, Response

MODULE = """
import asyncio, threading
from pylos import Answer, Request, policy

running = most = 0
goes_on = asyncio.Event()
lock, freed = threading.Lock(), threading.Event()
two, two_threads = asyncio.Barrier(2), threading.Barrier(2)

def enter() -> None:
    global running, most
    with lock:
        running += 1
        most = max(most, running)

@policy
async def holds(request: Request) -> Answer:
    global running
    enter()
    await two.wait()
    await goes_on.wait()
    running -= 1
    return Answer(body=str(most))

@policy(blocking=True)
def blocks(request: Request) -> Answer:
    global running
    enter()
    two_threads.wait(20)
    freed.wait(20)
    with lock:
        running -= 1
    return Answer(body=str(most))

all_threads = threading.Barrier(40)

@policy(blocking=True)
def gathers(request: Request) -> Answer:
    all_threads.wait(20)
    return Answer(204)

@policy
def frees(request: Request) -> Answer:
    goes_on.set()
    freed.set()
    return Answer(204)

@policy
def passes(request: Request) -> Answer:
    return Answer(204)
"""


@pytest.fixture
def capped(tmp_path: Path) -> Iterator[GatewayUnderTest]:
    (tmp_path / "capped.py").write_text(MODULE)
    policies = "".join(
        f"""
        [policy.{name}]
        type = "python"
        call = "capped:{name}"
        timeout = "20s"
        {caps}
        [route.{name}]
        match = "/{name}"
        respond = {{ status = 200 }}
        use = ["{name}"]
        """
        for name, caps in [
            ("holds", CAPS),
            ("blocks", CAPS),
            ("gathers", "concurrency = 40"),
            ("frees", ""),
            ("passes", "queue = 1"),
        ]
    )
    file = tmp_path / "capped.toml"
    file.write_text(
        f"""
        [pylos]
        access_log = false
        workers = 1
        lanes = 1
        lane_memory = "64MiB"
        [listen.http]
        bind = "127.0.0.1:0"
        {policies}
        """
    )
    with GatewayUnderTest(file) as gateway:
        yield gateway


CAPS = "concurrency = 2\n        queue = 4"


def get(gateway: GatewayUnderTest, path: str) -> Response:
    with RawClient(gateway.address()) as client:
        return client.get(path)


@pytest.mark.parametrize("name", ["holds", "blocks"])
def test_so_many_run_so_many_wait_and_others_are_told_at_once(capped: GatewayUnderTest, name: str) -> None:
    with ThreadPoolExecutor(5) as clients:
        asked: set[Future[Response]] = {clients.submit(get, capped, f"/{name}") for _ in range(5)}
        (first, *more), others = wait(asked, return_when=FIRST_COMPLETED)
        told = first.result()
        assert (told.status, told.header("pylos-reason"), more) == (503, "policy_overloaded", [])
        assert get(capped, "/frees").status == 204, "another policy is not held up"
        assert [other.result().body for other in others] == [b"2"] * 4
        again = [clients.submit(get, capped, f"/{name}") for _ in range(4)]
        assert [one.result().status for one in again] == [200] * 4, "there is room again"


def test_a_place_is_free_again_when_the_answer_is_there(capped: GatewayUnderTest) -> None:
    with RawClient(capped.address()) as client:
        assert [client.get("/passes").status for _ in range(5)] == [204] * 5


def test_threads_take_nothing_of_the_memory_of_a_lane(capped: GatewayUnderTest) -> None:
    with ThreadPoolExecutor(40) as clients:
        asked = [clients.submit(get, capped, "/gathers") for _ in range(40)]
        assert {one.result().status for one in asked} == {204}, "forty stacks are more than 64 MiB"
