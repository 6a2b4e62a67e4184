"""A certifier whose authorities are made up: what it does, when, and what it says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from pylos.supervisor.acme import (
    AcmeError,
    Authority,
    AuthorityError,
    Certificate,
    Certifier,
    ExternalAccount,
    Pace,
    RetryDelays,
    SettingsError,
    Storage,
    StorageError,
    Wanted,
    certifier,
    files,
    leftovers,
    selfsigned,
)
from pylos.supervisor.acme.certifier import AT_ONCE
from pylos.supervisor.acme.errors import ChallengeError, Fault, Problem
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.locks import Held
from pylos.supervisor.acme.plan import about
from pylos.supervisor.acme.records import AnswerRecord, StateRecord
from pylos.supervisor.acme.storage import STALE
from pylos.supervisor.acme.threads import Threads

FIRST = Authority("first", "https://first.test/dir")
SECOND = Authority("second", "https://second.test/dir")
LOCAL = Authority("local", "local")
SHOP = Wanted("shop", ("shop.test",), (FIRST, SECOND))
PACE = Pace(RetryDelays(first=0.05, longest=0.1), look=0.2, lock_poll=0.02, storage_retry=0.05)
PATIENCE = 20


class Lines:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def info(self, event: str, text: str, **_: object) -> None:
        self.told.append((event, text))

    warning = error = info

    def events(self) -> list[str]:
        return [event for event, _ in self.told]


class Authorities:
    """Stand in the place of the protocol: each attempt is a call, and does what `does` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.does: Callable[[Authority], Certificate | None] = lambda _: None
        self.rehearses: Callable[[Authority], object] = lambda _: None
        """The same at a staging directory."""

        async def issue(
            _: Issuer, wanted: Wanted, authority: Authority, *, url: str | None = None, **__: object
        ) -> Certificate:
            if url is not None:
                self.asked.append(f"{authority.name} staging")
                self.rehearses(authority)
                return selfsigned(wanted.domains, wanted.name)
            self.asked.append(authority.name)
            made = self.does(authority) or selfsigned(wanted.domains, wanted.name)
            return Certificate.read(wanted.name, made.chain, made.key, authority.directory)

        monkeypatch.setattr(Issuer, "issue", issue)


@pytest.fixture
def authorities(monkeypatch: pytest.MonkeyPatch) -> Authorities:
    return Authorities(monkeypatch)


def refusing(retry_after: float | None = None) -> Callable[[Authority], Certificate | None]:
    def refuse(authority: Authority) -> None:
        raise AuthorityError(Fault("refused it", authority.directory, retry_after=retry_after))

    return refuse


class Running:
    def __init__(self, folder: Path, *wanted: Wanted, **options: object) -> None:
        self.lines, self.new, self.offered = Lines(), [], 0
        self.has_room = True
        storage = Storage(folder)
        given = {"pace": PACE, "teller": self.lines, **options}
        self.certifier = Certifier(storage, wanted, self.on_new, **given)  # type: ignore[arg-type]

    async def on_new(self, certificate: Certificate) -> None:
        self.offered += 1
        if not self.has_room:
            raise RuntimeError("no room")
        self.new.append(certificate)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110, most of what is waited for gives no signal
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(folder: Path, *wanted: Wanted, **options: object):
    found = Running(folder, *wanted, **options)
    task = asyncio.create_task(found.certifier.run())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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
            for failures in range(1, 5):
                await one.until(lambda failures=failures: one.certifier.status()[0].failures == failures)
                Storage(tmp_path).keep_state(StateRecord(name="shop", about="another machine", failures=1))

    asyncio.run(story())


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


def made(domains: tuple[str, ...], days: float) -> Certificate:
    """Make a certificate that began so many days from now."""
    signed = selfsigned(domains, "shop", lambda: time.time() + days * 86400)
    return Certificate.read("shop", signed.chain, signed.key, FIRST.directory)


def stored(folder: Path, domains: tuple[str, ...], days: float) -> Certificate:
    found = made(domains, days)
    Storage(folder).keep_certificate(found)
    return found


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
                    await one.until(lambda: one.new)
                    await asyncio.sleep(PACE.look)
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
            authorities.does = lambda _: None
            now[0] += 86400
            await one.until(lambda: one.new)
            authorities.does = refusing()
            one.certifier.hurry("shop")
            await one.until(lambda: one.lines.events().count("certificate_failed") >= 2)
            now[0] += 31 * 86400
            await one.until(lambda: one.lines.events().count("certificate_given_up") == 2)

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


def test_what_cannot_be_stored_is_used_and_stored_later(tmp_path: Path, authorities: Authorities, monkeypatch):
    """A disk that is full costs no second certificate."""
    real, fails = Storage.keep_certificate, [True]

    def keep(storage: Storage, certificate: Certificate) -> None:
        if fails[0]:
            raise StorageError("No space left on device")
        real(storage, certificate)

    monkeypatch.setattr(Storage, "keep_certificate", keep)

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: one.new)
            await one.until(lambda: "No space" in (one.certifier.status()[0].error or ""))
            fails[0] = False
            await one.until(lambda: Storage(tmp_path).certificate("shop") == one.new[0])

    asyncio.run(story())
    assert authorities.asked == ["first"]


def test_what_could_not_be_stored_takes_no_place(tmp_path: Path, authorities: Authorities, monkeypatch):
    """Another machine has stored a newer one meanwhile."""
    real, fails = Storage.keep_certificate, [True]

    def keep(storage: Storage, certificate: Certificate) -> None:
        if fails[0]:
            raise StorageError("No space left on device")
        real(storage, certificate)

    monkeypatch.setattr(Storage, "keep_certificate", keep)

    async def story() -> None:
        async with running(tmp_path, SHOP) as one:
            await one.until(lambda: "No space" in (one.certifier.status()[0].error or ""))
            newer = made(SHOP.domains, 1)
            real(Storage(tmp_path), newer)
            fails[0] = False
            await one.until(lambda: one.certifier.current("shop") == newer)
            await asyncio.sleep(PACE.look * 2)
            assert Storage(tmp_path).certificate("shop") == newer

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


def test_work_ends_with_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who was away for too long gives up what it was about."""
    begun, ended = asyncio.Event(), []

    async def issue(*_: object, **__: object) -> Certificate:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            ended.append(True)
        raise AssertionError("not reached")

    monkeypatch.setattr(Issuer, "issue", issue)

    async def story() -> None:
        one = Running(tmp_path, SHOP)
        one.certifier = Certifier(Storage(tmp_path, lease=0.2), (SHOP,), one.on_new, pace=PACE, teller=one.lines)
        task = asyncio.create_task(one.certifier.run())
        await asyncio.wait_for(begun.wait(), PATIENCE)
        (tmp_path / "locks" / files.label("certificate shop") / "99").write_text("")  # another machine
        await one.until(lambda: ended)
        await one.until(lambda: "certificate_lock" in one.lines.events())
        task.cancel()

    asyncio.run(story())


def test_work_ends_with_the_lock_of_a_storage_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Others take over when the lease has run out, whatever becomes of the call that renews it."""
    hangs, ended = threading.Event(), []
    monkeypatch.setattr(Held, "renew", lambda _: hangs.wait(PATIENCE))

    async def issue(*_: object, **__: object) -> Certificate:
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            ended.append(True)
        raise AssertionError("not reached")

    monkeypatch.setattr(Issuer, "issue", issue)

    async def story() -> None:
        one = Running(tmp_path, SHOP)
        one.certifier = Certifier(Storage(tmp_path, lease=0.2), (SHOP,), one.on_new, pace=PACE, teller=one.lines)
        task = asyncio.create_task(one.certifier.run())
        async with asyncio.timeout(PATIENCE / 2):
            await one.until(lambda: ended)
        await one.until(lambda: "certificate_lock" in one.lines.events())
        task.cancel()

    asyncio.run(story())
    hangs.set()


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
