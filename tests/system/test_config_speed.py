"""How long ten thousand routes take: to check, and to put into use while requests run; and a thousand tests.

Each prints its figure beside the bar that an idle machine has to meet. What fails a test is a bound with room for a
busy one.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import pytest
from system.load import Load

from pylos.config import Loaded, load_text
from pylos.supervisor.apply import Applier
from pylos.supervisor.process import GatewayProcess, gateway_command
from pylos.supervisor.sockets import Sockets
from pylos.supervisor.source import Checked
from pylos.testing import RawClient, ScriptedUpstream

ROUTES = 10_000
TESTS = 1_000
NAME = "gateway.toml"


class Tell(Protocol):
    def __call__(self, what: str, seconds: float, bar: float) -> None:
        """Print a figure, also when the test passes."""
        ...


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    def write(what: str, seconds: float, bar: float) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{what}: {seconds * 1000:.0f} ms (bar on an idle machine: {bar * 1000:.0f} ms)\n")

    return write


def test_ten_thousand_routes_are_checked(tell: Tell):
    text = document("127.0.0.1:8000", ROUTES)

    taken = best_of(3, lambda: load_text(text, NAME))

    tell(f"check of {ROUTES} routes", taken, bar=2)
    assert len(load_text(text, NAME).config.route) == ROUTES + 1
    assert taken < 6


def test_a_thousand_tests(tell: Tell):
    text = document("127.0.0.1:8000", 1_000, TESTS)

    taken = best_of(3, lambda: load_text(text, NAME))

    tell(f"check of {TESTS} tests and 1000 routes", taken, bar=1)
    assert len(load_text(text, NAME).config.test) == TESTS
    assert taken < 3


def test_ten_thousand_routes_are_put_into_use_under_load(tell: Tell):
    """From the table handed to the gateway process to its word that every worker uses it."""
    with ScriptedUpstream() as app:
        small, large = (load_text(document(app.url, count), NAME) for count in (10, ROUTES))

        taken, load = asyncio.run(changed_under_load(small, large))

    tell(f"{ROUTES} routes from table sent to applied", taken, bar=0.3)
    assert load.failures == []
    assert load.bodies.total() > 200
    assert taken < 3


async def changed_under_load(small: Loaded, large: Loaded) -> tuple[float, Load]:
    """Serve the small one, change to the large one while requests run; gives the best of three and the load."""
    sockets = Sockets()
    applier = Applier(sockets)
    process = await TimedProcess.start(gateway_command())
    try:
        await applier.change(Checked(small.table), process)
        address = applier.listen["http"][0]
        with Load(address, clients=4) as load:
            await asyncio.to_thread(load.more, 100)
            for loaded in (large, small, large, small, large):
                await applier.change(Checked(loaded.table), process)
                assert await asyncio.to_thread(status_of_the_last, address) == (200 if loaded is large else 404)
            await asyncio.to_thread(load.more, 100)
    finally:
        await process.stop()
        sockets.close()
    return min(process.taken[1::2]), load


class TimedProcess(GatewayProcess):
    """Notes how long each table takes."""

    taken: list[float]

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        started = await super().start(command)
        assert isinstance(started, cls)
        started.taken = []
        return started

    async def apply(
        self,
        generation: int,
        table: Mapping[str, Any],
        sockets: Mapping[str, socket.socket],
        lanes: Sequence[tuple[Mapping[str, Any], socket.socket]] = (),
    ) -> list[dict[str, Any]]:
        began = time.perf_counter()
        problems = await super().apply(generation, table, sockets, lanes)
        self.taken.append(time.perf_counter() - began)
        return problems


def status_of_the_last(address: str) -> int:
    """Ask for what only the last of all routes answers."""
    with RawClient(address) as client:
        client.send(f"GET /last HTTP/1.1\r\nHost: {host(ROUTES - 1)}\r\n\r\n".encode())
        return client.read_response().status


def best_of(times: int, work: Callable[[], object]) -> float:
    """Give the least of the times that some work takes."""
    return min(timed(work) for _ in range(times))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# -- a document like those of real shops -------------------------------------------------------------------------------


def document(target: str, routes: int, tests: int = 0) -> str:
    """Write a document of so many routes besides one for the host `a`: 100 hosts, 50 upstreams, three policies."""
    tables = [HEAD, *upstreams(target), *(route(number) for number in range(routes))]
    return "\n".join([*tables, *(a_test(number % routes, number) for number in range(tests))])


HEAD = """
[pylos]
access_log = false
use = ["shield"]
[listen.http]
bind = "127.0.0.1:0"
[policy.shield]
type = "filter"
deny_path = ["/.git/{rest:path}"]
[policy.tidy]
type = "headers"
response = { set = { x-served-by = "pylos" } }
[policy.edge]
type = "chain"
use = ["tidy"]
[route.all]
match = "a/{rest:path}"
to = "upstream_0"
"""


def upstreams(target: str) -> Iterator[str]:
    for number in range(50):
        yield f'[upstream.upstream_{number}]\ntargets = ["{target}"]\ntimeouts = {{ connect = "2s" }}\n'


def host(number: int) -> str:
    return f"shop-{number % 100}.example.com"


def route(number: int) -> str:
    """Write a route; the last of ten thousand answers itself."""
    head = f"[route.route_{number}]"
    if number == ROUTES - 1:
        return f'{head}\nmatch = "{host(number)}/last"\nrespond = {{ text = "last" }}\n'
    lines = [head, f'match = "{host(number)}/api/v{number % 7}/things-{number}/{{id}}/{{rest:path}}"']
    lines.append(f'to = "upstream_{number % 50}"')
    if number % 3 == 0:
        lines.append('use = ["edge"]')
    if number % 5 == 0:
        lines.append(f'rewrite = "/things/{{id}}/{number}/{{rest}}"')
    if number % 7 == 0:
        lines.append('timeout = "10s"\ntimeouts = { total = "1h" }')
    return "\n".join(lines) + "\n"


def a_test(number: int, index: int) -> str:
    path = f"/api/v{number % 7}/things-{number}/{index}/a/b"
    return (
        f"[test.test_{index}]\n"
        f'request = "GET http://{host(number)}{path}?full=1"\n'
        f'headers = {{ x-a = "{index}" }}\n'
        f'expect = {{ route = "route_{number}", upstream = "upstream_{number % 50}" }}\n'
    )
