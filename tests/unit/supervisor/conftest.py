"""A supervisor in the test's own event loop, over gateway processes in miniature."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from pylos import Config
from pylos.errors import PylosError
from pylos.supervisor.events import Event, Outcome, Reload, Shutdown, Taken
from pylos.supervisor.run import Ready, Supervisor
from pylos.supervisor.source import Checked, Source
from pylos.testing import RawClient

FAKE_GATEWAY = Path(__file__).parent / "fake_gateway.py"


@pytest.fixture
def table() -> Callable[..., Checked]:
    """Make as much of a table as supervisor and fake gateway look at."""
    return make_table


def make_table(*routes: str, drain_ms: int = 30_000, **listeners: str) -> Checked:
    """`routes` make the fake gateway misbehave, `listeners` are binds by name."""
    listeners = listeners or {"http": "127.0.0.1:0"}
    loaded = Config(
        pylos={"drain": f"{drain_ms}ms"},
        listen={name: {"bind": bind} for name, bind in listeners.items()},
        route={name: {"match": f"/{name}", "respond": {"status": 204}} for name in routes},
    ).loaded
    return Checked(loaded.table)


class Supervised:
    """A running supervisor, as a test steers it."""

    def __init__(self, supervisor: Supervisor, ready: Ready) -> None:
        self.supervisor = supervisor
        self.ready = ready

    def address(self, listener: str = "http") -> str:
        return self.supervisor.ready["listen"][listener][0]

    async def get(self, listener: str = "http") -> dict[str, int]:
        """Ask who answers: {"pid", "generation"}."""

        def ask() -> dict[str, int]:
            with RawClient(self.address(listener)) as client:
                answer: dict[str, int] = client.get().json()
                return answer

        return await asyncio.to_thread(ask)

    async def reload(self, source: Source | None = None) -> PylosError | None:
        """Put another source into use; gives why not."""
        try:
            await self.taken(lambda outcome: Reload("test", source, outcome))
        except PylosError as error:
            return error
        return None

    async def taken(self, event: Callable[[Outcome], Event]) -> Taken:
        """Let something happen that puts a configuration into use, and give what came of it."""
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self.supervisor.put(event(outcome))
        return await outcome


@asynccontextmanager
async def supervised(source: Source) -> AsyncIterator[Supervised]:
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    supervisor = Supervisor(source, on_ready=ready.set_result, command=[sys.executable, "-S", str(FAKE_GATEWAY)])
    life = asyncio.create_task(supervisor.run())
    await asyncio.wait([life, ready], return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await life  # raises why
    try:
        yield Supervised(supervisor, ready.result())
    finally:
        supervisor.put(Shutdown("the test is over"))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(life), 10)
        supervisor.end_at_once()
        await life


Story = Callable[[Supervised], Awaitable[None]]


@pytest.fixture
def tell() -> Callable[[Source, Story], None]:
    """Give a function that runs a story with a supervisor: `tell(table(), story)`."""

    def run(source: Source, story: Story) -> None:
        async def whole() -> None:
            async with asyncio.timeout(60), supervised(source) as running:
                await story(running)

        asyncio.run(whole())

    return run
