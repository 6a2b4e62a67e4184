"""Certificates are renewed while the configuration stays, whatever it came from; and some come by themselves."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import Issued, issue

from pylos.config import load_text
from pylos.errors import GatewayError, PylosError
from pylos.supervisor import automatic, certificates
from pylos.supervisor import source as sources
from pylos.supervisor.acme import Storage
from pylos.supervisor.acme.records import AnswerRecord, Kind
from pylos.supervisor.apply import Applier
from pylos.supervisor.events import Put, Reload, Rollback
from pylos.supervisor.source import Checked, Source, read
from pylos.testing import RawClient

Supervised = Any  # of conftest.py
Tell = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]

FILES = """\
[listen.http]
bind = "127.0.0.1:0"
[tls.shop]
cert = "{folder}/shop.pem"
key = "{folder}/shop.key"
[route.{route}]
match = "/{route}"
respond = {{ status = 204 }}
"""
AUTOMATIC = """\
[pylos]
state = "{folder}/state"
[listen.http]
bind = "127.0.0.1:0"
[tls.shop]
acme = "local"
domains = ["Shop.example.com", "*.shop.example.com"]
"""
BESIDE = """\
[tls.own]
acme = "local"
domains = ["own.example.com"]
"""
ENDING = {"days": 5, "since": 80}
ELSEWHERE = (
    AUTOMATIC.replace('"local"', '"nobody"').replace(', "*.shop.example.com"', "")
    + """\
[acme.nobody]
directory = "https://127.0.0.1:1/directory"
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pylos.toml"
    renewed(path)
    write(path, FILES)
    return path


def write(file: Path, text: str, route: str = "one") -> None:
    file.write_text(text.format(folder=file.parent, route=route))


def renewed(file: Path, **life: float) -> Issued:
    """Put a new certificate beside the file, as one that was renewed is."""
    made = issue("shop.example.com", **life)
    for name, text in (("shop.key", made.key_pem), ("shop.pem", made.pem)):
        (file.parent / f"{name}.new").write_text(text)
        (file.parent / f"{name}.new").replace(file.parent / name)
    return made


def reload() -> Callable[[Any], Reload]:
    return lambda outcome: Reload("test", None, outcome)


def rollback(number: int | None = None) -> Callable[[Any], Rollback]:
    return lambda outcome: Rollback("test", number, outcome)


def shown(running: Supervised, tls: str = "shop") -> str:
    chain: str = running.supervisor.checked.table["tls"][tls]["certificates"][0]["chain"]
    return chain


def routes(running: Supervised) -> list[str]:
    return list(running.supervisor.checked.table["route"])


def entries(running: Supervised) -> list[tuple[int, str, int | None]]:
    return [(one["number"], one["summary"], one["restores"]) for one in running.supervisor.history.as_json()]


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nobody tells a test
        await asyncio.sleep(0.01)


# -- of files --------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_brings_nothing_else_along(
    tell: Tell, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(running: Supervised) -> None:
        made = renewed(file)
        await until(lambda: entries(running)[0] == (2, "new certificates for configuration 1", 1))
        assert (routes(running), shown(running)) == (["one"], made.chain)
        assert (await running.get())["generation"] == running.supervisor.number == 2
        assert (await running.supervisor.running())["drift"] is None

    tell(file, story)
    told = capsys.readouterr().err
    assert '"event": "certificates_renewed"' in told
    assert '"event": "reloaded"' not in told


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make days short; gives how many warnings each of them brings."""
    found: list[int] = []
    monkeypatch.setattr(certificates, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(certificates, "report_warnings", lambda warnings: found.append(len(warnings)))
    return found


@pytest.mark.parametrize("silence", ["", 'silence = ["P123"]'])
def test_what_does_not_hold_for_long_is_told_each_day(
    tell: Tell, file: Path, days: list[int], capsys: pytest.CaptureFixture[str], silence
) -> None:
    """Unless that is not to be told, at the start, after a renewal or by the day."""
    renewed(file, **ENDING)
    write(file, FILES.replace("[route.", f"{silence}\n[route."))

    async def story(running: Supervised) -> None:
        made = renewed(file, **ENDING)
        await until(lambda: shown(running) == made.chain)
        await until(lambda: len(days) >= 3)

    tell(file, story)
    assert set(days) == {int(not silence)}
    assert ("expires in 4 days" in capsys.readouterr().err) is (not silence)


def test_a_renewal_does_not_undo_a_rollback(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, FILES, "two")
        await until(lambda: routes(running) == ["two"])
        await running.taken(rollback())
        assert routes(running) == ["one"]
        drift = (await running.supervisor.running())["drift"]
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)
        assert routes(running) == ["one"]
        assert (await running.supervisor.running())["drift"] == drift is not None

    tell(file, story)


def test_a_rollback_has_the_certificates_of_now_and_passes_renewals_over(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, FILES, "two")
        await until(lambda: routes(running) == ["two"])
        for _ in range(2):
            made = renewed(file)
            await until(lambda made=made: shown(running) == made.chain)
        await until(lambda: entries(running)[0][0] == 4)
        assert [(number, restores) for number, _, restores in entries(running)] == [(4, 2), (2, None), (1, None)]
        await running.taken(rollback())
        assert (routes(running), shown(running)) == (["one"], made.chain)
        assert entries(running)[0][2] == 1
        again = renewed(file)
        await until(lambda: shown(running) == again.chain)
        await until(lambda: entries(running)[0][0] == 6)
        with pytest.raises(PylosError, match="no configuration before the one in use"):
            await running.taken(rollback())

    tell(file, story)


def test_a_rollback_whose_files_are_gone_has_what_it_had(
    tell: Tell, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(running: Supervised) -> None:
        had = shown(running)
        write(file, '[listen.http]\nbind = "127.0.0.1:0"\n')
        await until(lambda: not routes(running))
        (file.parent / "shop.pem").unlink()
        await running.taken(rollback())
        assert (routes(running), shown(running)) == (["one"], had)

    tell(file, story)
    assert '"event": "certificates_kept"' in capsys.readouterr().err


# -- changes that come at a bad time ----------------------------------------------------------------------------------


def test_a_file_that_is_back_as_it_was_is_followed_on(
    tell: Tell, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(running: Supervised) -> None:
        before = running.supervisor.checked
        # The look that follows each start may find it gone and tell of it, and the watch see nothing but that it is
        # there, as it was: then it goes once more.
        while running.supervisor.checked is before:
            (file.parent / "shop.pem").rename(file.parent / "away.pem")
            await until(lambda: "certificates_refused" in capsys.readouterr().err)
            (file.parent / "away.pem").rename(file.parent / "shop.pem")
            with suppress(TimeoutError):
                await asyncio.wait_for(until(lambda: running.supervisor.checked is not before), 5)
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)

    tell(file, story)


def test_those_of_files_are_followed_beside_some_that_come_by_themselves(tell: Tell, file: Path) -> None:
    write(file, FILES + AUTOMATIC.partition("[tls")[0].partition("[listen")[0] + BESIDE)

    async def story(running: Supervised) -> None:
        for _ in range(2):
            await until(lambda: running.supervisor.certificates.status()[0]["state"] == "valid")
            made = renewed(file)
            await until(lambda made=made: shown(running) == made.chain)

    tell(file, story)
    tell(file, story)


def test_what_changes_while_something_is_put_into_use_is_not_missed(tell: Tell, file: Path) -> None:
    """A reload has read the former certificate, and is applied over the one that has come meanwhile."""

    async def story(running: Supervised) -> None:
        stale = await asyncio.to_thread(read, file)
        stale = replace(stale, table={**stale.table, "pylos": {**stale.table["pylos"], "drain_ms": 1}})
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)
        await running.taken(lambda outcome: Put("test", stale, None, outcome))
        await until(lambda: shown(running) == made.chain)
        assert running.supervisor.checked.table["pylos"]["drain_ms"] == 1

    tell(file, story)


def test_what_could_not_be_put_into_use_is_tried_again(
    tell: Tell, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(certificates, "UNUSED_SECONDS", 0.05)
    real, failures = Applier.change, [2]

    async def change(applier: Applier, checked: Checked, *rest: object) -> None:
        if applier.generation and failures[0]:
            failures[0] -= 1
            raise GatewayError("the gateway process has just died")
        await real(applier, checked, *rest)

    monkeypatch.setattr(Applier, "change", change)

    async def story(running: Supervised) -> None:
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)

    tell(file, story)
    assert capsys.readouterr().err.count('"event": "certificates_refused"') == 2


def test_after_a_rollback_whose_files_are_gone_they_are_waited_for(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, '[listen.http]\nbind = "127.0.0.1:0"\n')
        await until(lambda: not routes(running))
        (file.parent / "shop.pem").unlink()
        await running.taken(rollback())
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)

    tell(file, story)


def test_another_file_with_the_same_certificate_is_another_configuration(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        before = running.supervisor.checked.digest
        (file.parent / "copy.pem").write_bytes((file.parent / "shop.pem").read_bytes())
        write(file, FILES.replace("shop.pem", "copy.pem"))
        taken = await running.taken(reload())
        assert taken.number == 2
        assert running.supervisor.history.in_use.digest == running.supervisor.checked.digest != before

    tell(file, story)


def test_certificates_that_only_a_put_document_names_are_renewed(tell: Tell, file: Path) -> None:
    document = FILES.format(folder=file.parent, route="put")
    plain = file.with_name("plain.toml")
    plain.write_text('[listen.http]\nbind = "127.0.0.1:0"\n')

    async def story(running: Supervised) -> None:
        checked = read(load_text(document, str(file)))
        await running.taken(lambda outcome: Put("test", checked, None, outcome))
        made = renewed(file)
        await until(lambda: shown(running) == made.chain)
        assert routes(running) == ["put"]

    tell(plain, story)


def test_those_in_use_stay_until_new_ones_fit(tell: Tell, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(running: Supervised) -> None:
        before, made = shown(running), issue("shop.example.com")
        (file.parent / "shop.pem").write_text(made.pem)
        await until(lambda: "certificates_refused" in told())
        assert shown(running) == before
        (file.parent / "shop.key").write_text(made.key_pem)
        await until(lambda: shown(running) == made.chain)

    seen: list[str] = []

    def told() -> str:
        seen.append(capsys.readouterr().err)
        return "".join(seen)

    tell(file, story)
    assert "is not the key of the certificate in" in told()


# -- that come by themselves -----------------------------------------------------------------------------------------


def test_of_this_machine_it_is_there_at_once_and_is_kept(tell: Tell, file: Path) -> None:
    write(file, AUTOMATIC)
    first: list[str] = []

    async def story(running: Supervised) -> None:
        first.append(shown(running))
        await until(lambda: running.supervisor.certificates.status()[0]["state"] == "valid")
        (status,) = running.supervisor.certificates.status()
        assert (status["tls"], status["acme"], status["source"]) == ("shop", "local", "local")
        assert status["domains"] == ["shop.example.com", "*.shop.example.com"]
        assert running.supervisor.number == 1

    tell(file, story)
    tell(file, story)
    assert first[0] == first[1]
    assert Storage(file.parent / "state" / "acme").certificate("shop") is not None


def test_what_has_come_is_put_into_use_and_nothing_else(tell: Tell, file: Path) -> None:
    write(file, AUTOMATIC)

    async def story(running: Supervised) -> None:
        before = shown(running)
        await until(lambda: running.supervisor.certificates.status()[0]["state"] == "valid")
        write(file, "this is no configuration")
        running.supervisor.certificates.hurry("shop")
        await until(lambda: entries(running)[0] == (2, "new certificates for configuration 1", 1))
        assert shown(running) != before
        assert (await running.get())["generation"] == 2

    tell(file, story)


def test_a_reload_adds_and_takes_away(tell: Tell, file: Path) -> None:
    write(file, AUTOMATIC)

    async def story(running: Supervised) -> None:
        write(file, AUTOMATIC + '[tls.blog]\nacme = "local"\ndomains = ["blog.example.com"]\n')
        await running.taken(reload())
        assert shown(running, "blog") != shown(running)
        assert [one["tls"] for one in running.supervisor.certificates.status()] == ["blog", "shop"]
        write(file, FILES)
        await running.taken(reload())
        assert running.supervisor.certificates.status() == []
        with pytest.raises(PylosError, match=r"no certificate `shop` comes by itself; no \[tls.NAME\] has `acme`"):
            running.supervisor.certificates.hurry("shop")

    tell(file, story)


def test_other_names_of_this_machine_are_there_at_once(tell: Tell, file: Path) -> None:
    write(file, AUTOMATIC)

    async def story(running: Supervised) -> None:
        before = shown(running)
        write(file, AUTOMATIC.replace("Shop.example.com", "blog.example.com"))
        await running.taken(reload())
        await until(lambda: shown(running) != before)
        assert running.supervisor.checked.table["tls"]["shop"]["certificates"][0]["names"][0] == "blog.example.com"

    tell(file, story)


def test_one_stands_in_until_an_authority_has_given_one(
    tell: Tell, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, ELSEWHERE)

    async def story(running: Supervised) -> None:
        before = shown(running)
        assert "BEGIN CERTIFICATE" in before
        await until(lambda: running.supervisor.certificates.status()[0]["error"] is not None)
        await until(lambda: running.supervisor.certificates.status()[0]["state"] == "missing")
        (status,) = running.supervisor.certificates.status()
        assert status["begins"] is None
        assert "127.0.0.1" in status["error"]
        assert status["next_step"] > status["error_at"]
        write(file, ELSEWHERE + '[tls.other]\nacme = "local"\ndomains = ["other.example.com"]\n')
        await running.taken(reload())
        assert shown(running) == before

    tell(file, story)
    assert '"event": "certificate_stand_in"' in capsys.readouterr().err


def test_without_a_state_directory_only_this_machine_is_asked(
    tell: Tell, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def folders() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if path.is_dir()]

    write(file, AUTOMATIC.partition("\n[listen")[2].replace(".http]", "[listen.http]", 1))

    async def story(running: Supervised) -> None:
        assert "BEGIN CERTIFICATE" in shown(running)
        assert [name[:11] for name in folders()] == ["pylos-acme-"]

    tell(file, story)
    assert folders() == []
    write(file, ELSEWHERE.replace('state = "{folder}/state"\n', ""))
    with pytest.raises(GatewayError, match="no state directory to keep accounts, keys and certificates in"):
        tell(file, story)


async def answer(running: Supervised, key: str, *, there: bool | None = None) -> str | None:
    """Give what the gateway answers; once it has an answer, or none."""

    def ask() -> str | None:
        while True:
            with RawClient(running.address()) as client:
                told: str | None = client.get(f"/.well-known/acme-challenge/{key}").json()["answer"]
                if there in (None, told is not None):
                    return told

    return await asyncio.to_thread(ask)


def test_any_machine_answers_what_one_of_them_has_stored(tell: Tell, file: Path) -> None:
    write(file, ELSEWHERE)
    storage = Storage(file.parent / "state" / "acme")

    def keep(kind: Kind, key: str) -> None:
        value = f"{key.replace('.', '-')}.thumbprint"
        storage.keep_answer(AnswerRecord(kind=kind, key=key, domain="shop.example.com", value=value, at=time.time()))

    async def story(running: Supervised) -> None:
        assert await answer(running, "token") is None
        keep("http-01", "token")
        keep("tls-alpn-01", "shop.example.com")
        assert await answer(running, "token", there=True) == "token.thumbprint"
        certificate = await answer(running, "shop.example.com", there=True)

        first = running.supervisor.gateway_pid
        os.kill(first, signal.SIGKILL)
        await running.supervisor.serving(other_than=first)
        assert await answer(running, "token") == "token.thumbprint"
        assert await answer(running, "shop.example.com") == certificate

        write(file, FILES)
        await running.taken(reload())
        assert await answer(running, "token", there=False) is None

    tell(file, story)


def test_nothing_is_under_way_while_it_becomes_another_program(tell: Tell, file: Path) -> None:
    write(file, ELSEWHERE)

    def under_way() -> set[str]:
        names = {task.get_name() for task in asyncio.all_tasks()}
        return {name for name in names if name.startswith(("keep certificates", "certificate ", "look for answers"))}

    async def story(running: Supervised) -> None:
        await until(lambda: len(under_way()) == 3)
        async with running.supervisor.certificates.paused():
            assert under_way() == set()
        await until(lambda: len(under_way()) == 3)

    tell(file, story)


def test_a_storage_that_hangs_holds_nothing_up(
    tell: Tell, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, ELSEWHERE)
    go_on = threading.Event()
    monkeypatch.setattr(automatic, "STORAGE_SECONDS", 0.1)
    monkeypatch.setattr(Storage, "certificate", lambda *_: go_on.wait(30) and None)

    async def story(running: Supervised) -> None:
        assert "BEGIN CERTIFICATE" in shown(running)
        go_on.set()

    tell(file, story)
    assert "acme does not answer" in capsys.readouterr().err


def test_a_digest_counts_where_certificates_are_from_and_no_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLOS_TEST_SECRET", "correct horse")
    file.write_text(
        file.read_text() + '[policy.a]\ntype = "headers"\nrequest = { set = { key = { env = "PYLOS_TEST_SECRET" } } }\n'
    )
    first = read(file)
    renewed(file)
    second = read(file)
    assert (first.digest, first.table != second.table) == (second.digest, True)
    monkeypatch.setenv("PYLOS_TEST_SECRET", "battery staple")
    assert read(file).digest != first.digest
    seen: list[str] = []
    monkeypatch.setattr(sources, "stand_in", lambda secret: seen.append(secret) or "hidden")
    assert read(file).digest
    assert seen == ["battery staple"]

    inline = [replace(one, named={}, material=[]) for one in (first, second)]
    assert inline[0].digest != inline[1].digest
