"""The control socket: who gets a name, who may ask, and what is answered."""

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pylos.errors import GatewayError, PylosError
from pylos.supervisor import answers, control, runtime
from pylos.supervisor.answers import Answers
from pylos.supervisor.channel import LENGTH, Channel, framed
from pylos.supervisor.control import ControlSocket, connect, open_if_possible
from pylos.supervisor.source import Checked, Source

Supervised = Any  # of conftest.py
Tell = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]
Table = Callable[..., Checked]


@pytest.fixture(autouse=True)
def folder(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder there is."""
    folder = runtime_folder / "pylos"
    monkeypatch.setenv(runtime.ALONE, str(folder))
    return folder


def ask(question: Mapping[str, object], name: str = "default") -> dict[str, Any]:
    line = connect(name)
    try:
        return line.ask(question)
    finally:
        line.close()


# -- the name --------------------------------------------------------------------------------------------------------


def test_folder_and_socket_are_private(folder: Path) -> None:
    opened = ControlSocket.open("shop")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "shop.sock").stat().st_mode) == 0o600
    opened.close()
    assert not (folder / "shop.sock").exists()


def test_a_name_is_given_once() -> None:
    first, other = ControlSocket.open("shop"), ControlSocket.open("other")
    with pytest.raises(GatewayError, match=rf"`shop` runs already \(process {os.getpid()}\)\n.*serve -n NAME"):
        ControlSocket.open("shop")
    first.close()
    ControlSocket.open("shop").close()
    other.close()


def test_the_socket_of_a_dead_gateway_is_replaced(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "default.sock"))
    with pytest.raises(GatewayError, match="no gateway named `default` runs here"):
        connect("default")
    opened = ControlSocket.open("default")
    connect("default").close()
    opened.close()


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "-x", "x" * 33])
def test_what_is_no_name(name: str) -> None:
    for use in (ControlSocket.open, connect):
        with pytest.raises(PylosError, match="cannot be a gateway's name"):
            use(name)


def test_a_folder_that_others_can_write_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(OSError, match="can be written by others"):
        runtime.folder_to_use()
    with pytest.raises(GatewayError, match="no gateway named"):
        connect("default")


def test_the_next_folder_where_the_first_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.touch()
    second = folder.with_name("second")
    monkeypatch.setattr(runtime, "folders", lambda: iter([folder, second]))
    assert runtime.folder_to_use() == second


def test_without_any_place_it_serves_all_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.touch()
    assert open_if_possible("default") is None
    assert '"event": "control_failed"' in capsys.readouterr().err
    assert open_if_possible(None) is None


def test_names_that_could_have_been_meant() -> None:
    opened = ControlSocket.open("shop")
    with pytest.raises(GatewayError, match=r"no gateway named `shp` runs here; there are shop \(-n NAME\)"):
        connect("shp")
    opened.close()
    with pytest.raises(GatewayError, match="start it with `pylos serve`"):
        connect("shp")


def test_the_folders(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLOS_RUNTIME_DIR", "/alone")
    assert list(runtime.folders()) == [Path("/alone")]
    monkeypatch.delenv("PYLOS_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert list(runtime.folders())[:2] == [runtime_folder / "pylos", Path("/run/pylos")]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [path.name for path in runtime.folders()] == ["pylos", "pylos-1000"]


# -- questions -------------------------------------------------------------------------------------------------------


Asking = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]


@pytest.fixture
def tell_controlled(tell: Tell) -> Asking:
    """Run a story with a supervisor that has a control socket."""

    def run(source: Source, story: Callable[[Supervised], Awaitable[None]]) -> None:
        async def whole(running: Supervised) -> None:
            opened = ControlSocket.open("default")
            answering = asyncio.create_task(opened.serve(running.supervisor))
            try:
                await story(running)
            finally:
                answering.cancel()
                opened.close()

        tell(source, whole)

    return run


def test_status_table_and_document(tell_controlled: Asking, table: Table) -> None:
    async def story(running: Supervised) -> None:
        status = await asyncio.to_thread(ask, {"type": "status"})
        assert status["status"]["generation"] == 1
        assert status["running"]["gateway"] == running.ready["gateway"]
        assert (status["running"]["drift"], status["running"]["source"]) == (None, None)
        answer = await asyncio.to_thread(ask, {"type": "table"})
        assert answer["table"]["listen"]["http"]["bind"] == [running.address()], "as it really is"
        answer = await asyncio.to_thread(ask, {"type": "document"})
        assert answer["document"]["listen"]["http"]["bind"] == ["127.0.0.1:0"], "as it was written"
        assert (answer["number"], answer["document"]["test"]) == (1, {})

    tell_controlled(table(), story)


def test_what_fails(tell_controlled: Asking, table: Table) -> None:
    async def story(_: Supervised) -> None:
        for question, said in (
            ({"type": "nonsense"}, "an unknown question: nonsense"),
            ({"type": "document", "number": 7}, "there is no configuration 7 in the history; there are 1"),
            ({"type": "rollback"}, "there is no configuration before the one in use"),
        ):
            with pytest.raises(PylosError, match=said):
                await asyncio.to_thread(ask, question)

    tell_controlled(table(), story)


def test_a_defect_is_an_answer(tell_controlled: Asking, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(running: Supervised) -> None:
        monkeypatch.setattr(running.supervisor, "history", None)
        with pytest.raises(PylosError, match=r"^a defect of Pylos: AttributeError$"):
            await asyncio.to_thread(ask, {"type": "history"})
        assert (await running.get())["generation"] == 1

    tell_controlled(table(), story)


def test_others_are_hung_up_on(tell_controlled: Asking, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "is_allowed", lambda _: False)

    async def story(_: Supervised) -> None:
        with pytest.raises(GatewayError, match="the gateway `default` has ended"):
            await asyncio.to_thread(ask, {"type": "status"})

    tell_controlled(table(), story)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who asks")
@pytest.mark.parametrize("uid, allowed", [(0, True), (os.geteuid(), True), (12345, False)])
def test_who_may_ask(uid: int, *, allowed: bool) -> None:
    class Connection:
        def getsockopt(self, *_: object) -> bytes:
            return control.CREDENTIALS.pack(1, uid, 1)

    assert control.is_allowed(Connection()) is allowed  # type: ignore[arg-type]


DEEP = b'{"type": "history", "id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
ODD = b'{"type": "history", "id": [1]}'


@pytest.mark.parametrize(
    "data",
    [
        LENGTH.pack(5) + b"nope!",
        LENGTH.pack(1 << 31),
        LENGTH.pack(2) + b"{}",
        LENGTH.pack(8) + b"{",
        LENGTH.pack(len(DEEP)) + DEEP,
        LENGTH.pack(len(ODD)) + ODD,
    ],
    ids=["no JSON", "too long", "no type", "cut", "too deep", "a number that is none"],
)
def test_an_asker_that_speaks_another_language_harms_only_itself(
    tell_controlled: Asking, table: Table, folder: Path, data: bytes
) -> None:
    def shout() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(folder / "default.sock"))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return sock.recv(1)

    async def story(running: Supervised) -> None:
        assert await asyncio.to_thread(shout) == b""
        assert (await asyncio.to_thread(ask, {"type": "history"}))["entries"]
        assert await running.get()

    tell_controlled(table(), story)


def test_no_more_askers_than_there_may_be(
    tell_controlled: Asking, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MOST_ASKERS", 1)

    async def story(_: Supervised) -> None:
        first = await asyncio.to_thread(connect, "default")
        assert await asyncio.to_thread(first.ask, {"type": "history"})
        with pytest.raises(GatewayError, match="too many commands at once; try again"):
            await asyncio.to_thread(ask, {"type": "history"})
        first.close()

    tell_controlled(table(), story)


def test_an_asker_that_asks_nothing_is_left(
    tell_controlled: Asking, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.1)

    async def story(running: Supervised) -> None:
        silent = await asyncio.to_thread(connect, "default")
        assert await asyncio.to_thread(silent._socket.recv, 1) == b""
        silent.close()
        waiting = await asyncio.to_thread(connect, "default")  # for an answer that takes longer
        question = {"type": "process", "other_than": running.ready["gateway"]}
        asked = asyncio.create_task(asyncio.to_thread(waiting.ask, question))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asked), 0.5)
        os.kill(running.ready["gateway"], 9)
        assert (await asked)["gateway"] != running.ready["gateway"]
        waiting.close()

    tell_controlled(table(), story)


def test_an_asker_that_takes_no_answers_is_left(
    tell_controlled: Asking, table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(control, "MOST_ASKERS", 1)

    async def story(running: Supervised) -> None:
        await asyncio.to_thread(ask, {"type": "history"})
        monkeypatch.setattr(running.supervisor.history, "as_json", lambda: ["x" * 1_000_000])
        body = b'{"type": "history", "id": 1}'
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(folder / "default.sock"))
            sock.sendall((LENGTH.pack(len(body)) + body) * 3)
            async with asyncio.timeout(10):
                while (await asyncio.to_thread(tried))["type"] != "done":
                    pass

    def tried() -> dict[str, Any]:
        """Ask until the other one has been left."""
        try:
            return ask({"type": "status"})
        except GatewayError:
            return {"type": "failed"}

    tell_controlled(table(), story)


def test_nothing_follows_an_answer_that_was_cut(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what follows would be taken for the rest of it."""

    async def story(running: Supervised) -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(theirs)
        monkeypatch.setattr(running.supervisor.history, "as_json", lambda: ["x" * 10_000_000])
        long, short = ({"type": kind, "id": number} for number, kind in enumerate(["history", "status"]))
        answering = asyncio.create_task(Answers(running.supervisor, "a test").converse(channel, lambda _: None, 0.2))
        with ours:
            ours.sendall(framed(long))
            await asyncio.sleep(1)  # until it has been given up
            with suppress(OSError):
                ours.sendall(framed(short))
            ours.settimeout(10)
            data = bytearray()
            while piece := await asyncio.to_thread(ours.recv, 1 << 20):
                data += piece
        await asyncio.wait_for(answering, 10)
        channel.close()
        assert 0 < len(data) < LENGTH.unpack(data[: LENGTH.size])[0]
        assert not data.strip(b"x").endswith(b"}")

    tell(table(), story)


def test_of_one_asker_so_many_questions_wait_and_no_more(
    tell_controlled: Asking, table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_QUESTIONS", 2)

    async def story(running: Supervised) -> None:
        await asyncio.to_thread(ask, {"type": "history"})
        asked: asyncio.Queue[int] = asyncio.Queue()

        async def serving(other_than: int) -> None:
            asked.put_nowait(other_than)
            await asyncio.sleep(60)

        monkeypatch.setattr(running.supervisor, "serving", serving)
        body = b'{"type": "process", "id": 1}'
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(folder / "default.sock"))
            sock.sendall((LENGTH.pack(len(body)) + body) * 5)
            assert [await asked.get(), await asked.get()] == [0, 0]
            await asyncio.to_thread(ask, {"type": "history"})
            assert asked.empty()

    tell_controlled(table(), story)
