"""Reload and rollback: what they tell, what they keep, and when they do nothing."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import issue

from pylos.config import check
from pylos.config.diff import Change, changes
from pylos.config.meaning import Meaning
from pylos.contents import digest
from pylos.errors import ConfigError, PylosError
from pylos.supervisor import history
from pylos.supervisor import source as sources
from pylos.supervisor.events import Reload, Rollback
from pylos.supervisor.source import Checked, Source, named_files, read

Supervised = Any  # of conftest.py
Tell = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]
Table = Callable[..., Checked]

TEXT = '[listen.http]\nbind = "127.0.0.1:0"\n[route.{name}]\nmatch = "/{name}"\nrespond = {{ status = 204 }}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pylos.toml"
    write(path, TEXT.format(name="one"))
    return path


def rollback(number: int | None = None) -> Callable[[Any], Rollback]:
    return lambda outcome: Rollback("test", number, outcome)


def reload(source: Source | None = None) -> Callable[[Any], Reload]:
    return lambda outcome: Reload("test", source, outcome)


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def drift(running: Supervised) -> str | None:
    told: str | None = (await running.supervisor.running())["drift"]
    return told


# -- reload ----------------------------------------------------------------------------------------------------------


def test_it_tells_what_changed(tell: Tell, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(running: Supervised) -> None:
        taken = await running.taken(reload(table("new", http="127.0.0.1:0", more="127.0.0.1:0")))
        assert taken.number == 2
        assert [(one.kind, one.path) for one in taken.changes] == [
            ("added", ("listen", "more")),
            ("added", ("route", "new")),
        ]

    tell(table(), story)
    assert '"changed": ["listen.more added", "route.new added"]' in capsys.readouterr().err


def test_an_unchanged_document_is_not_applied(tell: Tell, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(running: Supervised) -> None:
        taken = await running.taken(reload(table("same")))
        assert (taken.number, taken.changes) == (1, [])
        assert (await running.get())["generation"] == 1
        assert len(running.supervisor.history.as_json()) == 1

    tell(table("same"), story)
    assert '"event": "unchanged"' in capsys.readouterr().err


def test_a_refused_one_is_told_whole(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, TEXT.format(name="one") + "[nonsense.x]\n[route.two]\n")
        with pytest.raises(ConfigError) as caught:
            await running.taken(reload())
        assert [problem.code for problem in caught.value.problems] == ["P103", "P105"]
        assert "the file" in (await drift(running) or "")
        write(file, TEXT.format(name="one"))
        assert (await running.taken(reload())).changes == []
        assert await drift(running) is None

    tell(file, story)


def test_a_lost_gateway_is_replaced_while_a_configuration_is_read(
    tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(source: Source) -> Checked:
        if source is slow_one:
            go_on.wait(30)
        return read(source)

    slow_one = table("slow")
    monkeypatch.setattr(sources, "read", slow)

    async def story(running: Supervised) -> None:
        first = running.ready["gateway"]
        reloading = asyncio.create_task(running.taken(reload(slow_one)))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        second = await running.supervisor.serving(other_than=first)
        assert await running.get() == {"pid": second, "generation": 1}
        assert not reloading.done()
        go_on.set()
        assert (await reloading).number == 2
        assert await running.get() == {"pid": second, "generation": 2}

    tell(table(), story)


def test_what_changed_is_found_aside(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread, for it takes long for a large document; who asks meanwhile is told of the one before."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(before: Meaning, after: Meaning) -> list[Change]:
        begun.set()
        if threading.current_thread() is not threading.main_thread():
            go_on.wait(30)
        return changes(before, after)

    monkeypatch.setattr(history, "changes", slow)

    async def story(running: Supervised) -> None:
        reloading = asyncio.create_task(running.taken(reload(table("new"))))
        await asyncio.to_thread(begun.wait, 30)
        told = running.supervisor.history.document(None)
        assert (told["number"], list(told["document"]["route"])) == (1, ["old"])
        assert [entry["number"] for entry in running.supervisor.history.as_json()] == [1]
        go_on.set()
        assert [one.path for one in (await reloading).changes] == [("route", "new"), ("route", "old")]
        assert running.supervisor.history.document(None)["number"] == 2

    tell(table("old"), story)


def test_reloads_that_come_at_once_are_done_in_order(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        taken = await asyncio.gather(*(running.taken(reload(table(f"r{n}"))) for n in range(5)))
        assert [one.number for one in taken] == [2, 3, 4, 5, 6]
        assert (await running.get())["generation"] == 6

    tell(table(), story)


def test_a_defect_of_the_checks_ends_nothing(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(running: Supervised) -> None:
        monkeypatch.setattr(sources, "read", lambda _: 1 // 0)
        with pytest.raises(PylosError, match="by a defect of Pylos: ZeroDivisionError"):
            await running.taken(reload())
        assert (await running.get())["generation"] == 1

    tell(table(), story)


def test_a_defect_of_the_checks_tells_no_values(tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Source) -> Checked:
        raise ValueError("Bearer correct horse")

    async def story(running: Supervised) -> None:
        monkeypatch.setattr(sources, "read", broken)
        with pytest.raises(PylosError, match=r"by a defect of Pylos: ValueError$"):
            await running.taken(reload())

    tell(table(), story)


@pytest.mark.parametrize("defect", [RecursionError("correct horse"), PylosError("correct horse")])
def test_a_defect_of_the_comparison_refuses_and_ends_nothing(
    tell: Tell, table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], defect: Exception
) -> None:
    def broken(*_: Meaning) -> list[Change]:
        raise defect

    monkeypatch.setattr(history, "changes", broken)

    async def story(running: Supervised) -> None:
        taken = await running.taken(reload(table("two")))
        assert (taken.number, taken.changes, await drift(running)) == (2, None, None)
        taken = await running.taken(rollback())
        assert (taken.number, taken.changes) == (3, None)
        assert (await running.get())["generation"] == 3
        told = [(entry["summary"], entry["restores"]) for entry in running.supervisor.history.as_json()]
        assert told == [
            ("what it changes cannot be told", 1),
            ("what it changes cannot be told", None),
            ("the first", None),
        ]
        assert list(running.supervisor.history.document(None)["document"]["route"]) == ["one"]

    tell(table("one"), story)
    told = capsys.readouterr().err
    assert told.count('"event": "diff_failed"') == told.count('"event": "reloaded"') == 2
    assert "refused" not in told
    assert "horse" not in told


def test_a_file_that_a_refused_one_names_is_watched(tell: Tell, file: Path) -> None:
    """The program imports a module that is wrong: to mend the module is enough."""
    program = file.with_name("gateway.py")
    module = file.with_name(f"module_of_{os.getpid()}.py")
    imports = f"import {module.stem}\n"
    sound = (
        "import pylos\nconfig = pylos.Config(listen={'http': {'bind': '127.0.0.1:0'}}, "
        "route={'%s': {'match': '/', 'respond': {'status': 204}}})\n"
    )
    write(program, sound % "one")

    async def story(running: Supervised) -> None:
        write(module, "1 // 0\n")
        write(program, imports + sound % "two")
        with pytest.raises(ConfigError, match="ZeroDivisionError"):
            await running.taken(reload())
        write(module, "")
        async with asyncio.timeout(10):
            while running.supervisor.number == 1:  # noqa: ASYNC110 - the watcher has no signal for tests
                await asyncio.sleep(0.01)

    tell(program, story)


CERTIFIED = '[listen.https]\nbind = "127.0.0.1:0"\ntls = "shop"\n' + '[tls.shop]\ncert = "shop.pem"\nkey = "shop.key"\n'


@pytest.mark.parametrize("mistake", ["", "more = 1\n"])
@pytest.mark.parametrize("what", ["pylos.toml", "more.toml", "conf.d", "shop.pem", "secret"])
def test_what_changes_while_it_is_read_is_no_part_of_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, mistake: str
) -> None:
    """It is changed behind the last of the reading: the watcher then sees another content than the one noted."""
    issue("shop.example.com").save(tmp_path, "shop")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "more.toml").write_text("")
    (tmp_path / "secret").write_text((tmp_path / "shop.key").read_text())
    secret = json.dumps(str(tmp_path / "secret"))
    text = f'include = ["more.toml", "conf.d/*.toml"]\n{CERTIFIED}'.replace('"shop.key"', f"{{ file = {secret} }}")
    write(tmp_path / "pylos.toml", text + TEXT.format(name="one") + mistake)
    silenced = check.Silenced

    def changes_a_file(*arguments: Any) -> Any:  # noqa: ANN401 - those of the class
        path = tmp_path / what
        (path / "new.toml" if path.is_dir() else path).write_text("another")
        return silenced(*arguments)

    monkeypatch.setattr(check, "Silenced", changes_a_file)
    try:
        checked = read(tmp_path / "pylos.toml")
        files, held = checked.files, checked.contents
        if what in {"shop.pem", "secret"}:  # certificates are watched apart
            files, held = checked.material, checked.material_contents
    except ConfigError as error:
        assert mistake
        files, held = named_files(error, [])
    monkeypatch.undo()

    assert tmp_path / what in files
    assert held != digest(files)
    path = tmp_path / what
    if what == "conf.d":
        (path / "new.toml").unlink()
        assert held == digest(files)


def test_a_file_that_comes_while_it_is_missed(tmp_path: Path) -> None:
    """One that an `include` names, and a certificate."""
    for more, name in (('include = ["more.toml"]\n', "more.toml"), (CERTIFIED, "shop.pem")):
        write(tmp_path / "pylos.toml", more + TEXT.format(name="one"))
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / "pylos.toml")
        (tmp_path / name).write_text("")
        files, held = named_files(caught.value, [])
        assert tmp_path / name in files
        assert held != digest(files)


def test_what_changes_behind_the_reading_is_read_again(tell: Tell, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the list of files is a new one, and nothing has been watched yet of what changes."""
    more, silenced = file.with_name("more.toml"), check.Silenced

    def changes_a_file(*arguments: Any) -> Any:  # noqa: ANN401 - those of the class
        if more.exists() and not changed:
            changed.append(write(more, TEXT_OF_A_ROUTE.format(name="two")))
        return silenced(*arguments)

    changed: list[None] = []
    monkeypatch.setattr(check, "Silenced", changes_a_file)

    async def story(running: Supervised) -> None:
        write(more, "")
        write(file, 'include = ["more.toml"]\n' + TEXT.format(name="one"))
        async with asyncio.timeout(10):
            while "two" not in running.supervisor.table["route"]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)

    tell(file, story)


TEXT_OF_A_ROUTE = '[route.{name}]\nmatch = "/{name}"\nrespond = {{ status = 204 }}\n'


def test_a_certificate_that_is_a_pipe_refuses_a_reload_and_holds_nothing_up(tell: Tell, file: Path) -> None:
    os.mkfifo(file.parent / "shop.pem")

    async def story(running: Supervised) -> None:
        for more in (TLS.format(cert="shop.pem"), TLS.format(cert="a") + KEY.format(file.parent / "shop.pem")):
            write(file, more + TEXT.format(name="two"))
            error = await running.reload()
            assert isinstance(error, ConfigError)
            assert "shop.pem` is no file" in str(error)
            assert await drift(running) == "what the file says now was refused"
        write(file, TEXT.format(name="two"))
        assert await running.reload() is None

    tell(file, story)


@pytest.mark.parametrize("odd", ["x" * 300 + ".pem", "x" * 300 + "/shop.pem"])
def test_a_name_that_no_file_can_have_refuses_a_reload_and_ends_nothing(tell: Tell, file: Path, odd: str) -> None:
    async def story(running: Supervised) -> None:
        for more in (TLS.format(cert=odd), TLS.format(cert="a.pem") + KEY.format(odd), INCLUDE.format(odd)):
            write(file, more + TEXT.format(name="two"))
            error = await running.reload()
            assert isinstance(error, ConfigError)
            assert "File name too long" in str(error)
        write(file, TEXT.format(name="two"))
        assert await running.reload() is None
        assert (await running.get())["generation"] == 2

    tell(file, story)


TLS = '[tls.shop]\ncert = "{cert}"\n'
KEY = 'key = {{ file = "{}" }}\n'
INCLUDE = 'include = ["{}"]\n'


# -- rollback --------------------------------------------------------------------------------------------------------


def test_a_rollback_puts_the_one_before_into_use(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        await running.taken(reload(table("two")))
        taken = await running.taken(rollback())
        assert taken.number == 3
        assert [(one.kind, one.path) for one in taken.changes] == [
            ("added", ("route", "one")),
            ("removed", ("route", "two")),
        ]
        assert (await running.get())["generation"] == 3
        latest = running.supervisor.history.as_json()[0]
        assert (latest["restores"], latest["reason"]) == (1, "rollback to 1, test")

    tell(table("one"), story)


def test_a_rollback_touches_no_file_and_the_file_wins_again(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, TEXT.format(name="two"))
        contents_before = digest([file])
        await running.taken(reload())
        assert await drift(running) is None
        await running.taken(rollback())
        assert await drift(running) == "configuration 1 was put back by a rollback"
        assert digest([file]) == contents_before, "the file is as it was"
        await asyncio.sleep(0.3)  # more than the watcher takes to hear of a change: an old one undoes no rollback
        assert await drift(running) == "configuration 1 was put back by a rollback"
        taken = await running.taken(reload())
        assert len(taken.changes) == 2
        assert await drift(running) is None
        await running.taken(rollback(1))
        write(file, TEXT.format(name="three"))
        async with asyncio.timeout(10):
            while await drift(running):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert running.supervisor.history.document(None)["document"]["route"].keys() == {"three"}

    tell(file, story)


def test_a_rollback_to_what_the_file_says_is_no_drift(tell: Tell, file: Path) -> None:
    async def story(running: Supervised) -> None:
        write(file, TEXT.format(name="two"))
        await running.taken(reload())
        await running.taken(rollback())
        await running.taken(rollback(2))
        assert await drift(running) is None

    tell(file, story)


@pytest.mark.parametrize("number, said", [(None, "no configuration before"), (7, "no configuration 7")])
def test_a_rollback_that_cannot_be(tell: Tell, table: Table, number: int | None, said: str) -> None:
    async def story(running: Supervised) -> None:
        with pytest.raises(PylosError, match=said):
            await running.taken(rollback(number))
        assert (await running.get())["generation"] == 1

    tell(table(), story)


def test_a_rollback_to_what_is_in_use_does_nothing(tell: Tell, table: Table) -> None:
    async def story(running: Supervised) -> None:
        assert (await running.taken(rollback(1))).changes == []
        assert (await running.get())["generation"] == 1

    tell(table(), story)


def test_a_former_document_whose_address_is_taken_meanwhile(tell: Tell, table: Table, tmp_path: Path) -> None:
    async def story(running: Supervised) -> None:
        await running.taken(reload(table(http="127.0.0.1:0")))
        (tmp_path / "gate.sock").write_text("in the way")
        with pytest.raises(PylosError, match="the path exists and is no socket"):
            await running.taken(rollback())
        assert (await running.get())["generation"] == 2

    tell(table(http="127.0.0.1:0", more=f"unix:{tmp_path}/gate.sock"), story)


# -- many at once ----------------------------------------------------------------------------------------------------


def test_those_who_ask_while_one_is_read_are_served_by_one_more(
    tell: Tell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Source] = []
    first, go_on = threading.Event(), threading.Event()

    def slow(source: Source) -> Checked:
        reads.append(source)
        if len(reads) == 2:  # the first is the start's
            first.set()
            go_on.wait(30)
        return read(source)

    monkeypatch.setattr(sources, "read", slow)

    async def story(running: Supervised) -> None:
        one = asyncio.create_task(running.taken(reload()))
        await asyncio.to_thread(first.wait, 30)
        write(file, TEXT.format(name="two"))
        others = [asyncio.create_task(running.taken(reload())) for _ in range(20)]
        await asyncio.sleep(0)
        go_on.set()
        taken = await asyncio.gather(one, *others)
        assert {each.number for each in taken[1:]} == {2}
        assert len(reads) <= 4, "one more for all who asked, and perhaps one for the changed file"

    tell(file, story)
