"""Storages that fail or hang, clocks that are wrong, what is left behind: a certifier goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from keeping import FIRST, PACE, PATIENCE, SECOND, SHOP, Authorities, FullDisk, Running, refusing, running

from pylos.supervisor.acme import (
    AcmeError,
    Authority,
    Storage,
    StorageError,
    Wanted,
    certifier,
    files,
    leftovers,
)
from pylos.supervisor.acme.locks import Held
from pylos.supervisor.acme.plan import about
from pylos.supervisor.acme.records import AnswerRecord, StateRecord
from pylos.supervisor.acme.storage import STALE
from pylos.supervisor.acme.threads import Threads


def test_a_start_waits_neither_for_a_storage_that_fails_nor_for_one_that_hangs(tmp_path: Path, monkeypatch):
    released = threading.Event()

    def read(path: Path) -> bytes | None:
        if "other" not in path.name:
            raise StorageError(f"{path} cannot be read")
        released.wait(PATIENCE)
        return None

    monkeypatch.setattr(files, "read", read)

    async def story() -> None:
        one = Running(tmp_path, SHOP, Wanted("other", ("other.test",), (FIRST,)))
        begun = time.monotonic()
        await one.certifier.load(0.1)
        assert time.monotonic() - begun < PATIENCE / 2
        assert one.certifier.current("shop") is None
        released.set()

    asyncio.run(story())


def test_what_was_not_taken_into_use_is_offered_again(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            one.has_room = False
            await one.until(lambda: one.offered >= 3)
            status = one.certifier.status()[0]
            assert (status.state, "no room" in (status.error or "")) == ("valid", True)
            assert one.certifier.current("shop") is not None
            assert one.lines.events().count("certificate_unused") == 1
            one.has_room = True
            await one.until(lambda: one.new)
            await one.until(lambda: one.certifier.status()[0].error is None)
            offered = one.offered
            await asyncio.sleep(PACE.look * 2)
            assert one.offered == offered, "once it is in use it is not offered any more"

    asyncio.run(story())
    assert authorities.asked == ["first"]


@pytest.mark.usefixtures("authorities")
def test_a_storage_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, fails = files.read, [True]

    def read(path: Path) -> bytes | None:
        if fails[0]:
            raise StorageError(f"{path} cannot be read: Stale file handle")
        return real(path)

    monkeypatch.setattr(files, "read", read)

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: "Stale" in (one.certifier.status()[0].error or ""))
            fails[0] = False
            await one.until(lambda: one.new and one.certifier.status()[0].error is None)
            assert one.lines.events().count("certificate_storage") == 1

    asyncio.run(story())


@pytest.mark.parametrize("key", ["next_try", "held_off", "window_ask_at"])
def test_a_clock_that_was_wrong_keeps_nobody_waiting(tmp_path: Path, authorities: Authorities, key):
    """It ran ahead by years when that was written."""
    ahead = time.time() + 5 * 365 * 86400
    said = {"held_off": {FIRST.directory: ahead, SECOND.directory: ahead}} if key == "held_off" else {key: ahead}
    Storage(tmp_path).keep_state(StateRecord(name="shop", about=about(SHOP), failures=3, **said))

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_leftovers_are_taken_away(tmp_path: Path, authorities: Authorities):
    storage = Storage(tmp_path)
    for kind in ("http-01", "tls-alpn-01"):
        storage.keep_answer(AnswerRecord(kind=kind, key="old", domain="shop.test", value="x", at=0.0))  # type: ignore[arg-type]
        storage.keep_answer(AnswerRecord(kind=kind, key="new", domain="shop.test", value="x", at=STALE))  # type: ignore[arg-type]

    async def story() -> None:
        async with running(tmp_path, now=lambda: STALE + 1) as one:
            await one.until(lambda: storage.answer("http-01", "old") is None)
            await one.until(lambda: storage.answer("tls-alpn-01", "old") is None)

    asyncio.run(story())
    assert storage.answer("http-01", "new") is not None
    assert storage.answer("tls-alpn-01", "new") is not None
    assert authorities.asked == []


def test_leftovers_are_taken_away_day_by_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was young at the start is old later."""
    monkeypatch.setattr(leftovers, "EVERY", 0.01)
    storage, now = Storage(tmp_path), [STALE]
    storage.keep_answer(AnswerRecord(kind="http-01", key="token", domain="shop.test", value="x", at=STALE))

    async def story() -> None:
        async with running(tmp_path, now=lambda: now[0]) as one:
            await asyncio.sleep(0.1)
            assert storage.answer("http-01", "token") is not None
            now[0] += STALE + 1
            await one.until(lambda: storage.answer("http-01", "token") is None)

    asyncio.run(story())


def test_what_cannot_be_stored_is_used_and_stored_later(tmp_path: Path, authorities: Authorities, disk: FullDisk):
    """A disk that is full costs no second certificate."""

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            await one.until(lambda: "No space" in (one.certifier.status()[0].error or ""))
            disk.full = False
            await one.until(lambda: Storage(tmp_path).certificate("shop") == one.new[0])

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_nobody_is_asked_for_what_cannot_be_stored(tmp_path: Path, authorities: Authorities, monkeypatch):
    def keep(_: Storage, __: StateRecord) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr(Storage, "keep_state", keep)

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: "No space" in (one.certifier.status()[0].error or ""))

    asyncio.run(story())
    assert authorities.asked == []


def test_what_nobody_has_thought_of_is_waited_after(tmp_path: Path, authorities: Authorities):
    def fail(_: Authority) -> None:
        raise TypeError("odd")

    authorities.does = fail

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].failures >= 2)
            assert "TypeError('odd')" in (one.certifier.status()[0].error or "")

    asyncio.run(story())
    assert len(authorities.asked) in {4, 5, 6}


def test_a_storage_that_hangs_does_not_hold_up_the_end(tmp_path: Path, authorities: Authorities, monkeypatch):
    monkeypatch.setattr(certifier, "END", 0.1)
    hangs = threading.Event()
    monkeypatch.setattr(Held, "release", lambda _: hangs.wait(PATIENCE))
    authorities.does = refusing()

    async def story() -> None:
        one = Running(tmp_path, SHOP)
        task = asyncio.create_task(one.certifier.run())
        await one.until(lambda: one.certifier.status()[0].failures)
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE / 2)
        assert task.done()

    asyncio.run(story())
    hangs.set()


def test_a_call_that_is_given_up_leaves_a_thread_free():
    async def story() -> None:
        threads, begun = Threads(1), asyncio.Event()
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def block() -> None:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(over.wait(), loop).result(PATIENCE)

        task = asyncio.create_task(threads.run(block))
        await begun.wait()
        task.cancel()
        following = asyncio.create_task(threads.run(lambda: 1))
        await asyncio.sleep(0.01)
        assert not following.done()
        over.set()
        assert await following == 1
        with pytest.raises(AcmeError):
            await threads.run(_raise)

    asyncio.run(story())


def test_a_thread_that_cannot_be_made_costs_no_other(monkeypatch: pytest.MonkeyPatch):
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story() -> None:
        threads = Threads(1)
        with monkeypatch.context() as context:
            context.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                await threads.run(lambda: 1)
        assert await asyncio.wait_for(threads.run(lambda: 1), 5) == 1

    asyncio.run(story())


def _raise() -> None:
    raise AcmeError("as it is")
