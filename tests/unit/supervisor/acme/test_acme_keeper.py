"""A certifier whose authorities are made up: whom it asks, when, and what it says."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
from keeping import FIRST, LOCAL, PACE, SECOND, SHOP, Authorities, Running, refusing, running

from pylos.config.x509 import key_text
from pylos.supervisor.acme import (
    Authority,
    AuthorityError,
    Certificate,
    ExternalAccount,
    Pace,
    RetryDelays,
    SettingsError,
    Storage,
    Wanted,
    selfsigned,
)
from pylos.supervisor.acme.errors import ChallengeError, Fault, Problem
from pylos.supervisor.acme.keys import new_key
from pylos.supervisor.acme.plan import about
from pylos.supervisor.acme.records import StateRecord
from pylos.supervisor.acme.selfsigned import signed_by_itself


def test_the_first_that_gives_is_asked(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            assert authorities.asked == ["first"]
            assert one.certifier.status()[0].as_json()["source"] == FIRST.directory

    asyncio.run(story())


def test_what_is_stored_is_there_at_the_start(tmp_path: Path, authorities: Authorities):
    made = selfsigned(SHOP.domains, "shop")
    stored = Certificate.read("shop", made.chain, made.key, FIRST.directory)
    Storage(tmp_path).keep_certificate(stored)

    async def story() -> None:
        one = Running(tmp_path, SHOP, Wanted("other", ("other.test",), (FIRST,)))
        assert one.certifier.current("shop") is None
        await one.certifier.load()
        assert (one.certifier.current("shop"), one.certifier.current("other")) == (stored, None)
        task = asyncio.create_task(one.certifier.run())
        await one.until(lambda: one.new)
        assert [new.name for new in one.new] == ["other"], "who has loaded it need not be told"
        task.cancel()

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_in_turn_and_again(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        authorities.does = refusing()
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: len(authorities.asked) >= 4)
            status = one.certifier.status()[0]
            assert status.state in {"missing", "asking"}
            assert "first.test/dir refused it" in (status.error or "")
            assert "second.test/dir refused it" in (status.error or "")
            authorities.does = lambda _: None
            await one.until(lambda: one.new)
            assert one.certifier.status()[0].error is None
        assert authorities.asked[:4] == ["first", "second"] * 2
        assert {"certificate_authority", "certificate_failed", "certificate_new"} <= set(one.lines.events())

    asyncio.run(story())


def test_one_that_wants_to_be_left_alone_is(tmp_path: Path, authorities: Authorities):
    async def story() -> None:
        authorities.does = refusing(3600)
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            assert one.certifier.status()[0].next_step > one.certifier._now() + 3500
        authorities.asked.clear()
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].error)
            assert authorities.asked == [], "the next process knows it too"

    asyncio.run(story())


STAGED = Authority("staged", "https://staged.test/dir", staging="https://staging.test/dir")
LIMITED = Problem("urn:ietf:params:acme:error:rateLimited")
REFUSED = Problem("urn:ietf:params:acme:error:unauthorized")


@pytest.mark.parametrize(
    "error, goes_on",
    [
        (AuthorityError(Fault("was not reached", STAGED.staging or "", reached=False)), True),
        (AuthorityError(Fault("refused order", STAGED.staging or "", problem=LIMITED, retry_after=7200)), True),
        (ChallengeError(Fault("did not accept http-01", STAGED.staging or "", problem=LIMITED)), True),
        (TypeError("odd"), True),
        (ChallengeError(Fault("did not accept http-01", STAGED.staging or "", problem=REFUSED)), False),
        (ChallengeError(Fault("was not told: dns-01 failed here", STAGED.staging or "")), False),
    ],
)
def test_of_staging_only_challenges_that_fail_stop(tmp_path: Path, authorities: Authorities, error, goes_on):
    """What is wrong with staging itself is told, and its Retry-After is its own."""

    def rehearse(_: Authority) -> None:
        raise error

    async def story() -> None:
        authorities.does = refusing()
        authorities.rehearses = rehearse
        async with running(tmp_path, Wanted("shop", ("shop.test",), (STAGED,))) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            authorities.does = lambda _: None
            await one.until(lambda: "staged staging" in authorities.asked)
            if goes_on:
                await one.until(lambda: one.new)
                assert "certificate_staging" in one.lines.events()
                held_off = Storage(tmp_path).state("shop").held_off
                assert held_off.keys() == (
                    {STAGED.staging} if getattr(error, "fault", None) and error.fault.retry_after else set()
                )
            else:
                await one.until(lambda: authorities.asked.count("staged staging") >= 2)
                assert authorities.asked.count("staged") == 1

    asyncio.run(story())


def test_causes_that_are_several_are_told_together():
    several = ChallengeError(Fault("one", "here"), ChallengeError(Fault("two", "here")))
    assert str(several) == "here one\nhere two"


def test_a_hurry_while_authorities_want_to_be_left_alone_is_told_and_kept(tmp_path: Path, authorities: Authorities):
    now = [time.time()]

    async def story() -> None:
        async with running(tmp_path, SHOP, now=lambda: now[0]) as one:
            await one.until(lambda: one.new)
            held_off = {authority.directory: now[0] + 3600 for authority in SHOP.authorities}
            state = Storage(tmp_path).state("shop")
            Storage(tmp_path).keep_state(state.model_copy(update={"held_off": held_off}))
            await asyncio.sleep(PACE.look * 2)
            one.certifier.hurry("shop")
            assert one.lines.told[-1][0] == "certificate_held_off"
            assert "renewed in 3600 s" in one.lines.told[-1][1]
            assert one.certifier.status()[0].next_step == now[0] + 3600
            await asyncio.sleep(PACE.look * 2)
            assert authorities.asked == ["first"]
            now[0] += 3601
            await one.until(lambda: len(one.new) == 2)

    asyncio.run(story())


def test_failures_of_something_else_do_not_count(tmp_path: Path, authorities: Authorities):
    Storage(tmp_path).keep_state(StateRecord(name="shop", about="other", failures=9, next_try=9e12))

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_what_was_put_right_is_tried_at_once(tmp_path: Path, authorities: Authorities):
    """A secret, say: it is no part of what failures are about."""
    authorities.does = refusing()
    wrong = Authority("first", FIRST.directory, eab=ExternalAccount("kid", "d3Jvbmc"))
    right = Authority("first", FIRST.directory, eab=ExternalAccount("kid", "cmlnaHQ"))

    async def story() -> None:
        async with running(tmp_path, Wanted("shop", ("shop.test",), (wrong,)), pace=Pace(RetryDelays(3600))) as one:
            await one.until(lambda: one.certifier.status()[0].error)
            authorities.does = lambda _: None
            one.certifier.update([Wanted("shop", ("shop.test",), (wrong,))])
            await asyncio.sleep(PACE.look)
            assert not one.new, "the same is no news"
            one.certifier.update([Wanted("shop", ("shop.test",), (right,))])
            await one.until(lambda: one.new)

    asyncio.run(story())
    assert authorities.asked == ["first"] * 2


def lasting(now: float, days: float) -> Certificate:
    """Make one that begins now and is valid for so long."""
    key = new_key("ecdsa")
    chain = signed_by_itself(key, SHOP.domains, now=now, life=timedelta(days=days))
    return Certificate.read("shop", chain, key_text(key), FIRST.directory)


def test_after_thirty_days_it_is_tried_in_silence(tmp_path: Path, authorities: Authorities):
    authorities.does = refusing()
    now = [1.8e9]

    async def story() -> None:
        async with running(tmp_path, SHOP, now=lambda: now[0]) as one:
            await one.until(lambda: "certificate_failed" in one.lines.events())
            now[0] += 31 * 86400
            await one.until(lambda: "certificate_given_up" in one.lines.events())
            told, asked = len(one.lines.told), len(authorities.asked)
            now[0] += 86400
            await one.until(lambda: len(authorities.asked) > asked + 1)
            now[0] += 86400
            await one.until(lambda: len(authorities.asked) > asked + 3)
            assert {event for event, _ in one.lines.told[told:]} <= {"certificate_authority"}
            authorities.does = lambda _: lasting(now[0], days=40)
            now[0] += 86400
            await one.until(lambda: one.new)
            authorities.does = refusing()
            one.certifier.hurry("shop")
            await one.until(lambda: one.lines.events().count("certificate_failed") >= 2)
            now[0] += 31 * 86400
            await one.until(lambda: one.lines.events().count("certificate_given_up") == 2)
            told = one.lines.events().count("certificate_failed")
            now[0] = one.new[0].ends  # now it matters, to all who come
            await one.until(lambda: one.lines.events().count("certificate_failed") > told)

    asyncio.run(story())


def test_a_clock_that_ran_ahead_is_not_waited_for(tmp_path: Path, authorities: Authorities):
    authorities.does = refusing()
    now = [1.8e9 + 365 * 86400]

    async def story() -> None:
        async with running(tmp_path, SHOP, now=lambda: now[0]) as one:
            await one.until(lambda: one.certifier.status()[0].error)
            authorities.does = lambda _: None
            now[0] = 1.8e9
            await one.until(lambda: one.new)

    asyncio.run(story())


def test_the_local_authority_is_one_of_them(tmp_path: Path, authorities: Authorities):
    wanted = Wanted("dev", ("localhost", "127.0.0.1"), (LOCAL,))

    async def story() -> None:
        async with running(tmp_path, wanted) as one:
            await one.until(lambda: one.new)
            assert one.new[0].source == "local"
            one.certifier.hurry("dev")
            await one.until(lambda: len(one.new) == 2)

    asyncio.run(story())
    assert authorities.asked == []


def test_another_kind_of_key_is_another_certificate(tmp_path: Path):
    async def story() -> None:
        async with running(tmp_path, Wanted("dev", ("localhost",), (LOCAL,))) as one:
            await one.until(lambda: one.new)
            one.certifier.update([Wanted("dev", ("localhost",), (LOCAL,), key_type="rsa")])
            await one.until(lambda: len(one.new) == 2)
            assert [made.key_type for made in one.new] == ["ecdsa", "rsa"]

    asyncio.run(story())


def test_it_is_renewed_in_its_last_third(tmp_path: Path):
    now = [1.8e9]

    async def story() -> None:
        async with running(tmp_path, Wanted("dev", ("localhost",), (LOCAL,)), now=lambda: now[0]) as one:
            await one.until(lambda: one.new)
            first = one.new[0]
            third = (first.ends - first.begins) / 3
            now[0] = first.begins + 2 * third - 1
            await asyncio.sleep(PACE.look * 2)
            assert one.new == [first]
            now[0] = first.begins + 2.25 * third + 1
            await one.until(lambda: len(one.new) == 2)

    asyncio.run(story())


def test_one_that_is_old_when_it_comes_is_not_followed_at_once(tmp_path: Path, authorities: Authorities):
    """It was dated back by nearly all of its life."""
    authorities.does = lambda _: selfsigned(SHOP.domains, "shop", lambda: time.time() - 29.9 * 86400)

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            await asyncio.sleep(PACE.look * 3)
            assert time.time() + 600 < one.certifier.status()[0].next_step < time.time() + 3600
            assert authorities.asked == ["first"]
            next((tmp_path / "certificates").iterdir()).unlink()
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
        assert authorities.asked == ["first"] * 2, "one that is gone is another matter"

    asyncio.run(story())


def test_one_that_is_left_alone_is_not_looked_at_all_the_time(tmp_path: Path, authorities: Authorities):
    """It has no certificate and no failures, and all authorities want to be left alone."""
    until = time.time() + 3600
    held_off = {authority.directory: until for authority in SHOP.authorities}
    Storage(tmp_path).keep_state(StateRecord(name="shop", about=about(SHOP), held_off=held_off))

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].next_step == until)
            await asyncio.sleep(PACE.look * 3)
            assert not (tmp_path / "locks").exists()

    asyncio.run(story())
    assert authorities.asked == []


def test_an_authority_that_wants_a_week_gets_it(tmp_path: Path, authorities: Authorities):
    """Its machine's clock is some minutes ahead."""
    until = time.time() + 7 * 86400 + 300
    Storage(tmp_path).keep_state(StateRecord(name="shop", held_off={FIRST.directory: until, SECOND.directory: until}))

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.certifier.status()[0].next_step == until)
            await asyncio.sleep(PACE.look * 2)

    asyncio.run(story())
    assert authorities.asked == []


@pytest.mark.usefixtures("authorities")
def test_one_that_is_wanted_no_more_and_then_again_is_kept(tmp_path: Path):
    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            one.certifier.update([])
            one.certifier.update([SHOP])
            await one.until(lambda: one.certifier.current("shop"))
            one.certifier.hurry("shop")
            await one.until(lambda: one.certifier.current("shop") not in (None, one.new[0]))
            assert len(one.certifier._tasks) == 1

    asyncio.run(story())


def test_two_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="shop"):
        Running(tmp_path, SHOP, SHOP)
