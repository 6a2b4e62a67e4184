"""The life of a supervisor, with a gateway process in miniature."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pylos.errors import BindError, ConfigError, GatewayError
from pylos.supervisor.events import Shutdown
from pylos.supervisor.ground import Ground
from pylos.supervisor.run import Supervisor
from pylos.supervisor.source import Checked, Source
from pylos.testing import RawClient, SteadyLoad

Supervised = Any  # of conftest.py
Tell = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]
Table = Callable[..., Checked]


# -- start -----------------------------------------------------------------------------------------------------------


def test_it_serves_when_it_says_so(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        assert await running.get() == {"pid": running.ready["gateway"], "generation": 1}
        assert running.ready["pid"] == os.getpid()
        assert running.ready["listen"] == {"http": [running.address()]}

    tell(table(), story)


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0", "unix:{folder}/gate.sock"])
def test_every_kind_of_address(tell: Tell, table: Table, tmp_path: Path, bind: str) -> None:
    async def story(running: Supervised) -> None:
        assert (await running.get())["generation"] == 1

    tell(table(http=bind.format(folder=tmp_path)), story)


def test_a_table_that_the_gateway_refuses(tell: Tell, table: Table) -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)error\[P201\]: \[route.refuse\]: refused.*--> the configuration.*do not"
    ):
        tell(table("refuse"), never)


def test_a_gateway_that_dies_at_the_first_table(tell: Tell, table: Table) -> None:
    with pytest.raises(GatewayError, match="ended with exit code 7"):
        tell(table("crash"), never)


def test_an_address_in_use(tell: Tell, table: Table) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError, match="Address already in use"):
        tell(table(http=f"127.0.0.1:{taken.getsockname()[1]}"), never)


async def never(_: Supervised) -> None:
    raise AssertionError("it must not start")


# -- reload ----------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_sockets_and_process(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        before = await running.get()
        address = running.address()
        assert await running.reload(table(http="127.0.0.1:0", ops="127.0.0.1:0")) is None
        assert running.address() == address
        assert await running.get() == {"pid": before["pid"], "generation": 2}
        assert (await running.get("ops"))["generation"] == 2

    tell(table(), story)


def test_a_listener_that_leaves_is_closed(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        gone = running.address("ops")
        assert await running.reload(table(http="127.0.0.1:0")) is None
        assert await eventually_refused(gone)
        assert await running.get()

    tell(table(http="127.0.0.1:0", ops="127.0.0.1:0"), story)


@pytest.mark.parametrize(
    "bad,kind",
    [
        pytest.param(lambda table: table("refuse", http="127.0.0.1:0", new="[::1]:0"), ConfigError, id="refused"),
        pytest.param(lambda table: table(http="127.0.0.1:0", new="192.0.2.1:1"), BindError, id="no such address"),
        pytest.param(lambda _: Path("/no/such/file.toml"), ConfigError, id="no such file"),
    ],
)
def test_a_bad_reload_leaves_everything_as_it_was(
    tell: Tell, table: Table, bad: Callable[[Table], Source], kind: type[Exception]
) -> None:
    async def story(running: Supervised) -> None:
        before = await running.get()
        assert isinstance(await running.reload(bad(table)), kind)
        assert await running.get() == before
        assert running.supervisor.ready == running.ready
        assert await running.reload(table("fine")) is None, "and the next good one is taken"
        assert await running.get() == {"pid": before["pid"], "generation": 2}

    tell(table(), story)


def test_a_table_that_kills_the_gateway_is_not_taken(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        first = running.ready["gateway"]
        failure = await running.reload(table("crash"))
        assert isinstance(failure, GatewayError)
        assert "ended with exit code 7" in str(failure)
        second = await running.supervisor.serving(other_than=first)
        assert await running.get() == {"pid": second, "generation": 1}

    tell(table(), story)


def test_a_gateway_that_does_not_answer_is_replaced(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylos.supervisor.process.APPLY_SECONDS", 0.2)

    async def story(running: Supervised) -> None:
        first = running.ready["gateway"]
        assert "within 0.2 s and was killed" in str(await running.reload(table("mute")))
        monkeypatch.undo()
        second = await running.supervisor.serving(other_than=first)
        assert await running.get() == {"pid": second, "generation": 1}

    tell(table(), story)


# -- a lost process --------------------------------------------------------------------------------------------------


def test_a_killed_gateway_is_replaced_and_nothing_is_refused(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        with SteadyLoad(running.address(), keep_alive=False) as load:
            pid = running.ready["gateway"]
            for _ in range(2):
                os.kill(pid, signal.SIGKILL)
                pid = await running.supervisor.serving(other_than=pid)
            await asyncio.to_thread(load.wait_for, 20)
        refused = [failure for failure in load.failures if "Refused" in failure]
        assert refused == []
        assert await running.get() == {"pid": pid, "generation": 1}

    tell(table(), story)


def test_between_two_processes_connections_wait(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        pid = running.ready["gateway"]
        for _ in range(2):  # the second death has a delay of 100 ms behind it
            os.kill(pid, signal.SIGKILL)
            ended = pid
            pid = await running.supervisor.serving(other_than=pid)
        os.kill(pid, signal.SIGKILL)
        assert (await running.get())["pid"] not in (ended, pid)

    tell(table(), story)


def test_a_reload_between_two_processes_is_taken_at_once(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        pid = running.ready["gateway"]
        for _ in range(3):
            os.kill(pid, signal.SIGKILL)
            pid = await running.supervisor.serving(other_than=pid)
        os.kill(pid, signal.SIGKILL)
        await nobody_serves(running)
        assert await running.reload(table("fine")) is None
        assert (await running.get())["generation"] == 2

    tell(table(), story)


async def nobody_serves(running: Supervised) -> None:
    while running.supervisor.gateway_pid:  # noqa: ASYNC110 - the supervisor has no signal for what only tests want
        await asyncio.sleep(0.001)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_drain_finishes_what_is_in_flight_and_refuses_what_is_new(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        address = running.address()
        with RawClient(address) as client:
            await hold(client, running)
            running.supervisor.put(Shutdown("test"))
            assert await eventually_refused(address)
            client.send(b"x")
            assert (await asyncio.to_thread(client.read_response)).status == 200

    tell(table(), story)


def test_a_drain_ends_at_its_deadline(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        with RawClient(running.address()) as client:
            await hold(client, running)
            running.supervisor.put(Shutdown("test"))
            await asyncio.to_thread(client.expect_eof)

    tell(table(drain_ms=100), story)


def test_a_gateway_that_hears_nothing_is_killed(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylos.supervisor.run.GRACE_SECONDS", 0.1)
    monkeypatch.setattr("pylos.supervisor.process.STOP_SECONDS", 0.1)

    async def story(running: Supervised) -> None:
        running.supervisor.put(Shutdown("test"))

    tell(table("stubborn", drain_ms=50), story)


def test_nothing_is_left_behind(tell: Tell, table: Table, tmp_path: Path) -> None:
    seen: list[int] = []

    async def story(running: Supervised) -> None:
        seen.append(running.ready["gateway"])

    tell(table(http=f"unix:{tmp_path}/gate.sock"), story)
    assert not (tmp_path / "gate.sock").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_a_gateway_that_cannot_be_kept_running_is_given_up_where_that_is_wanted(table: Table) -> None:
    async def whole() -> None:
        fake = Path(__file__).parent / "fake_gateway.py"
        supervisor = Supervisor(table(), command=[sys.executable, "-S", str(fake)], ground=Ground(patience=1))
        life = asyncio.create_task(supervisor.run())
        first = await supervisor.serving()
        os.kill(first, signal.SIGKILL)
        os.kill(await supervisor.serving(first), signal.SIGKILL)
        await life

    with pytest.raises(GatewayError, match="given up: 2 processes"):
        asyncio.run(whole())


async def hold(client: RawClient, running: Supervised) -> None:
    """Send a request that is answered later, and wait until the gateway has it."""
    client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    while not (await running.supervisor.status())["connections"]:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.001)


async def eventually_refused(address: str) -> bool:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                continue  # it stood in the queue when the listener was closed
            writer.close()
            await asyncio.sleep(0.01)
