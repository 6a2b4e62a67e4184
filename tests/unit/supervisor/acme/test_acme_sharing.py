"""Several machines with one storage: one asks, and none is in the way of another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from keeping import FIRST, PACE, PATIENCE, SECOND, SHOP, Authorities, FullDisk, Running, made, refusing, running, stored

from pylos.supervisor.acme import (
    Authority,
    Certificate,
    Certifier,
    Pace,
    RetryDelays,
    Storage,
    Wanted,
    files,
    selfsigned,
)
from pylos.supervisor.acme.certifier import AT_ONCE
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.locks import Held
from pylos.supervisor.acme.plan import about
from pylos.supervisor.acme.records import StateRecord


def test_failures_are_about_what_is_wanted_and_not_about_this_machine(tmp_path: Path):
    here = Authority("here", FIRST.directory, email="me@shop.test", ca=tmp_path / "ca.pem")
    assert about(Wanted("shop", ("shop.test",), (here, SECOND))) == about(SHOP)
    others = [
        Wanted("shop", ("shop.test", "www.shop.test"), (FIRST, SECOND)),
        Wanted("shop", ("shop.test",), (FIRST,)),
        Wanted("shop", ("shop.test",), (FIRST, SECOND), challenges=("http-01",)),
    ]
    assert about(SHOP) not in map(about, others)


def test_what_other_machines_write_does_not_shorten_the_wait(tmp_path: Path, authorities: Authorities):
    """One that wants something else fails too, and each writes its own failure in place of the other one's."""
    authorities.does = refusing()

    async def story() -> None:
        async with running(tmp_path, SHOP, pace=Pace(RetryDelays(0.02, 3600), look=0.01, lock_poll=0.02)) as one:
            failures = 0
            for _ in range(4):
                await one.until(lambda: Storage(tmp_path).state("shop").about == about(SHOP))
                await one.until(lambda: not Storage(tmp_path).state("shop").is_open)
                assert one.certifier.status()[0].failures > failures
                failures = one.certifier.status()[0].failures
                Storage(tmp_path).keep_state(StateRecord(name="shop", about="another machine", failures=1))

    asyncio.run(story())


def test_what_others_have_stored_is_used(tmp_path: Path, authorities: Authorities):
    authorities.does = refusing()

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            made = selfsigned(SHOP.domains, "shop")
            theirs = Certificate.read("shop", made.chain, made.key, SECOND.directory)
            Storage(tmp_path).keep_certificate(theirs)
            await one.until(lambda: one.new)
            assert one.new == [theirs]

    asyncio.run(story())


def test_what_vanishes_is_stored_again(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            next((tmp_path / "certificates").iterdir()).unlink()
            await one.until(lambda: Storage(tmp_path).certificate("shop") == one.new[0])
            assert len(one.new) == 1

    asyncio.run(story())
    assert authorities.asked == ["first"]


@pytest.mark.parametrize(
    "domains, days, taken",
    [
        (SHOP.domains, 1, True),
        (SHOP.domains, -1, False),
        (("other.test",), 1, False),
        (("shop.test", "www.shop.test"), 1, True),
    ],
)
@pytest.mark.usefixtures("authorities")
def test_what_is_older_or_for_something_else_is_not_taken(tmp_path: Path, domains, days, taken):
    """Somebody has brought back a copy, or another machine wants something else."""

    async def story() -> None:
        first = stored(tmp_path, SHOP.domains, 0)
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new == [first])
            second = stored(tmp_path, domains, days)
            if taken:
                await one.until(lambda: one.new == [first, second])
            else:
                await asyncio.sleep(PACE.look * 3)
                assert one.new == [first]

    asyncio.run(story())


def settled(one: Running, wanted: Wanted, folder: Path) -> bool:
    """Whether it says why it has no certificate of its own, or what is stored was issued for it, and all is written."""
    state = Storage(folder).state(wanted.name)
    return one.certifier.status()[0].error is not None or (state.issued_for == about(wanted) and not state.is_open)


@pytest.mark.parametrize(
    "theirs",
    [
        Wanted("shop", ("other.test",), (FIRST,)),
        Wanted("shop", ("shop.test",), (Authority("x", "https://x.test/dir"),)),
    ],
)
def test_machines_that_want_different_things_under_one_name(tmp_path: Path, authorities: Authorities, theirs):
    """Each is started anew again and again, and meets what the other one has stored."""
    pace = Pace(RetryDelays(first=3600), look=0.02, lock_poll=0.02)

    async def story() -> None:
        contended = 0
        for _ in range(4):
            for wanted in (SHOP, theirs):
                async with running(tmp_path, wanted, pace=pace) as one:
                    await one.until(partial(settled, one, wanted, tmp_path))
                    if error := one.certifier.status()[0].error:
                        contended += 1
                        assert "another machine with this storage wants that" in error
                        assert one.certifier.status()[0].next_step > time.time() + 3000
                        assert "certificate_contended" in one.lines.events()
        assert contended

    asyncio.run(story())
    assert len(authorities.asked) == 2


def test_machines_that_run_keep_their_own(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        theirs = Wanted("shop", ("other.test",), (FIRST,))
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            async with running(tmp_path, theirs) as other:
                await other.until(lambda: other.certifier.status()[0].state == "valid" and len(other.new) == 2)
                await one.until(lambda: "certificate_contended" in one.lines.events())
                await asyncio.sleep(PACE.look * 3)
            assert (len(one.new), one.certifier.status()[0].error) == (1, None)
            assert one.lines.events().count("certificate_contended") == 1

    asyncio.run(story())
    assert authorities.asked == ["first"] * 2


def test_a_change_of_what_is_wanted_is_no_contention(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            one.certifier.update([Wanted("shop", ("shop.test", "www.shop.test"), (FIRST,))])
            await one.until(lambda: len(one.new) == 2)
            assert "certificate_contended" not in one.lines.events()

    asyncio.run(story())
    assert authorities.asked == ["first"] * 2


def test_many_machines_ask_once(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        async with running(tmp_path, SHOP) as a, running(tmp_path, SHOP) as b, running(tmp_path, SHOP) as c:
            await a.until(lambda: a.new and b.new and c.new)
            assert a.new == b.new == c.new

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_a_lock_that_is_held_is_waited_for(tmp_path: Path, authorities: Authorities):
    held = Storage(tmp_path).locks.take("certificate shop")
    assert held is not None

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await asyncio.sleep(PACE.lock_poll * 5)
            assert authorities.asked == []
            held.release()
            await one.until(lambda: one.new)

    asyncio.run(story())


def test_who_waits_for_its_turn_has_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else other machines, which have turns to give, would wait for this one."""
    begun = []

    async def issue(_: Issuer, wanted: Wanted, *__: object, **___: object) -> Certificate:
        begun.append(wanted.name)
        await asyncio.sleep(PATIENCE)
        raise AssertionError("not reached")

    monkeypatch.setattr(Issuer, "issue", issue)
    many = [Wanted(f"shop{number}", ("shop.test",), (FIRST,)) for number in range(AT_ONCE + 1)]

    async def story() -> None:
        async with running(tmp_path, *many) as one:
            await one.until(lambda: len(begun) == AT_ONCE)
            await asyncio.sleep(PACE.lock_poll * 3)
            (waiting,) = {wanted.name for wanted in many} - {*begun}
            assert Storage(tmp_path).locks.take(f"certificate {waiting}") is not None

    asyncio.run(story())


def test_a_machine_that_died_at_work_is_followed(tmp_path: Path, authorities: Authorities):
    """Its lock is taken over when its lease has run out."""
    assert Storage(tmp_path, lease=0.3).locks.take("certificate shop") is not None

    async def story() -> None:
        one = Running(tmp_path, SHOP)
        one.certifier = Certifier(Storage(tmp_path, lease=0.3), (SHOP,), one.on_new, pace=PACE, teller=one.lines)
        task = asyncio.create_task(one.certifier.run())
        await one.until(lambda: one.new)
        task.cancel()

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_an_attempt_that_a_process_did_not_survive_has_failed(tmp_path: Path, authorities: Authorities, monkeypatch):
    """Else one that dies of it would ask again at each start."""
    begun = asyncio.Event()

    async def issue(*_: object, **__: object) -> Certificate:
        begun.set()
        await asyncio.sleep(PATIENCE)
        raise AssertionError("not reached")

    real = Issuer.issue
    pace = Pace(RetryDelays(first=3600, longest=86400), look=0.2, lock_poll=0.02)

    async def story() -> None:
        for died in range(3):
            monkeypatch.setattr(Issuer, "issue", issue)
            begun.clear()
            one = Running(tmp_path, SHOP, pace=pace)
            task = asyncio.create_task(one.certifier.run())
            await asyncio.wait_for(begun.wait(), PATIENCE)
            assert one.certifier.status()[0].failures == died
            task.cancel()
            monkeypatch.setattr(Issuer, "issue", real)
            async with running(tmp_path, SHOP, pace=pace) as following:
                await following.until(lambda: following.certifier.status()[0].next_step)
                wait = following.certifier.status()[0].next_step - time.time()
                assert 3590 * 2**died < wait < 3600 * 2**died * 1.2
            assert authorities.asked == []
            state = Storage(tmp_path).state("shop")
            Storage(tmp_path).keep_state(state.model_copy(update={"next_try": 0.0}))
        async with running(tmp_path, SHOP) as following:
            await following.until(lambda: following.new)
            assert Storage(tmp_path).state("shop").is_open is False

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_what_another_machine_is_about_to_store_is_looked_for(tmp_path: Path, authorities: Authorities):
    """It has begun, and would try again in an hour only if it failed."""
    now = time.time()
    begun = StateRecord(name="shop", about=about(SHOP), is_open=True, tried_at=now, next_try=now + 3600)
    Storage(tmp_path).keep_state(begun)
    pace = Pace(look=3600, lock_poll=0.02)

    async def story() -> None:
        one = Running(tmp_path, SHOP, pace=pace)
        task = asyncio.create_task(one.certifier.run())
        await one.until(lambda: one.certifier.status()[0].next_step > now)
        made = selfsigned(SHOP.domains, "shop")
        Storage(tmp_path).keep_certificate(Certificate.read("shop", made.chain, made.key, FIRST.directory))
        await one.until(lambda: one.new)
        task.cancel()

    asyncio.run(story())
    assert authorities.asked == []


@dataclass
class Asking:
    """What was asked for, at an authority that does not answer."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    found = Asking()

    async def issue(*_: object, **__: object) -> Certificate:
        found.begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            found.ended = True
        raise AssertionError("not reached")

    monkeypatch.setattr(Issuer, "issue", issue)
    return found


def until_the_lock_is_lost(folder: Path, asking: Asking, lose: Callable[[], object]) -> None:
    """Run one with a lease of a fifth of a second; `lose` is called when it holds it, and is at work."""

    async def story() -> None:
        one = Running(folder, SHOP)
        one.certifier = Certifier(Storage(folder, lease=0.2), (SHOP,), one.on_new, pace=PACE, teller=one.lines)
        task = asyncio.create_task(one.certifier.run())
        async with asyncio.timeout(PATIENCE / 2):
            await asking.begun.wait()
            lose()
            await one.until(lambda: asking.ended)
        await one.until(lambda: "certificate_lock" in one.lines.events())
        task.cancel()

    asyncio.run(story())


def test_work_ends_with_the_lock(tmp_path: Path, asking: Asking):
    """Who was away for too long gives up what it was about."""
    another_machine = tmp_path / "locks" / files.label("certificate shop") / "99"
    until_the_lock_is_lost(tmp_path, asking, lambda: another_machine.write_text(""))


def test_work_ends_with_the_lock_of_a_storage_that_hangs(
    tmp_path: Path, asking: Asking, monkeypatch: pytest.MonkeyPatch
):
    """Others take over when the lease has run out, whatever becomes of the call that renews it."""
    hangs = threading.Event()
    monkeypatch.setattr(Held, "renew", lambda _: hangs.wait(PATIENCE))
    until_the_lock_is_lost(tmp_path, asking, lambda: None)
    hangs.set()


def test_what_could_not_be_stored_takes_no_place(tmp_path: Path, authorities: Authorities, disk: FullDisk):
    """Another machine has stored a newer one meanwhile."""

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: "No space" in (one.certifier.status()[0].error or ""))
            newer = made(SHOP.domains, 1)
            disk.keep(Storage(tmp_path), newer)
            disk.full = False
            await one.until(lambda: one.certifier.current("shop") == newer)
            await asyncio.sleep(PACE.look * 2)
            assert Storage(tmp_path).certificate("shop") == newer

    asyncio.run(story())
    assert authorities.asked == ["first"]
