import asyncio
import json
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from pylos.contents import digest
from pylos.supervisor import watch
from pylos.supervisor.watch import Watcher, folders_to_watch


class Changes:
    """Counts what a watcher reports."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._changed.set()

    async def next(self) -> None:
        async with asyncio.timeout(10):
            await self._changed.wait()
        self._changed.clear()


def watching(files: list[Path], story: Callable[[Changes, Watcher], Awaitable[None]]) -> int:
    """Run a story while the files are watched; gives the number of changes reported."""

    async def run() -> int:
        changes = Changes()
        watcher = Watcher(changes)
        await watcher.follow(files)
        await story(changes, watcher)
        await watcher.close()
        return changes.count

    return asyncio.run(run())


def write(path: Path, text: str) -> None:
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    """Replace a file as editors do: write another, rename it over."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("change", [write, replace])
def test_a_change_of_the_file(tmp_path: Path, change: Callable[[Path, str], None]) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text("a")

    async def story(changes: Changes, _: Watcher) -> None:
        for text in ("b", "c"):
            change(file, text)
            await changes.next()

    assert watching([file], story) == 2


def test_only_contents_count(tmp_path: Path) -> None:
    file, other = tmp_path / "pylos.toml", tmp_path / "notes.txt"
    file.write_text("a")

    async def story(changes: Changes, _: Watcher) -> None:
        other.write_text("other")
        os.utime(file)
        replace(file, "a")
        file.write_text("b")
        await changes.next()

    assert watching([file], story) == 1


def test_a_link_on_the_way_is_turned(tmp_path: Path) -> None:
    """As Kubernetes does: file -> ..data/file, ..data -> the folder of one version."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "pylos.toml").write_text(version)
    (tmp_path / "..data").symlink_to("one")
    file = tmp_path / "pylos.toml"
    file.symlink_to("..data/pylos.toml")

    async def story(changes: Changes, _: Watcher) -> None:
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await changes.next()

    assert watching([file], story) == 1


def test_a_removed_and_restored_file(tmp_path: Path) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text("a")

    async def story(changes: Changes, _: Watcher) -> None:
        file.unlink()
        await changes.next()
        file.write_text("a")
        await changes.next()

    assert watching([file], story) == 2


def test_other_files_from_now_on(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "pylos.toml", tmp_path / "b" / "pylos.toml"
    for file in (first, second):
        file.parent.mkdir()
        file.write_text("a")

    async def story(changes: Changes, watcher: Watcher) -> None:
        await watcher.follow([second])
        first.write_text("b")
        second.write_text("b")
        await changes.next()

    assert watching([first], story) == 1


def test_a_folder_in_which_a_pattern_looks(tmp_path: Path) -> None:
    """A new file there is a change, and so is one that is gone; what editors leave there is none."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.toml").write_text("a")

    async def story(changes: Changes, _: Watcher) -> None:
        for name in (".a.toml.swp", "a.toml~"):
            (folder / name).write_text("")
        (folder / "b.toml").write_text("b")
        await changes.next()
        (folder / "b.toml").unlink()
        await changes.next()

    assert watching([folder], story) == 2


@pytest.mark.parametrize("odd", ["x" * 300, "x" * 300 + "/shop.pem", "pylos.toml/shop.pem", "none/shop.pem", "loop/a"])
def test_a_name_that_cannot_be_keeps_no_other_from_being_watched(
    tmp_path: Path, odd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text("a")
    (tmp_path / "loop").symlink_to("loop")

    async def story(changes: Changes, _: Watcher) -> None:
        file.write_text("b")
        await changes.next()

    assert watching([file, tmp_path / odd], story) == 1
    assert "watch_failed" not in capsys.readouterr().err


def test_a_folder_that_may_not_be_listed_is_told_and_the_others_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, closed = tmp_path / "pylos.toml", tmp_path / "closed"
    file.write_text("a")
    closed.mkdir()
    real = watch.identity_of

    def not_listed(folder: Path) -> tuple[int, int, bool] | None:
        found = real(folder)
        return (*found[:2], False) if found and folder == closed else found

    monkeypatch.setattr(watch, "identity_of", not_listed)

    async def story(changes: Changes, _: Watcher) -> None:
        file.write_text("b")
        await changes.next()

    assert watching([file, closed / "shop.pem"], story) == 1
    (told,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (told["event"], told["folders"]) == ("watch_failed", [str(closed)])


def test_what_cannot_be_watched_is_told_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(watch, "folders_to_watch", fails)

    async def story(_: Changes, watcher: Watcher) -> None:
        assert watcher._task
        await watcher._task

    assert watching([tmp_path / "pylos.toml"], story) == 0
    assert "watch_failed" in capsys.readouterr().err


def test_folders_that_are_missing_still(tmp_path: Path) -> None:
    """One after the other comes to be, then the file; and all of it again."""
    file = tmp_path / "a" / "b" / "c" / "shop.pem"

    async def story(changes: Changes, _: Watcher) -> None:
        for _ in range(2):
            file.parent.parent.mkdir(parents=True)
            await asyncio.sleep(0.3)  # so long that each of them has to be noticed by itself
            file.parent.mkdir()
            await asyncio.sleep(0.3)
            file.write_text("a")
            await changes.next()
            shutil.rmtree(tmp_path / "a")
            await changes.next()

    assert watching([file], story) == 4


@pytest.mark.parametrize("others", [["pylos.toml"], []])
def test_a_folder_with_all_in_it_is_put_in_the_place_of_another(tmp_path: Path, others: list[str]) -> None:
    """Also where the files in it are the same: later changes are those of the new one."""
    also = [tmp_path / name for name in others]
    file = tmp_path / "certs" / "shop.pem"
    file.parent.mkdir()
    file.write_text("a")
    for other in also:
        other.write_text("a")

    async def story(changes: Changes, _: Watcher) -> None:
        shutil.copytree(file.parent, tmp_path / "new")
        file.parent.rename(tmp_path / "old")
        (tmp_path / "new").rename(file.parent)
        await asyncio.sleep(0.3)
        before = changes.count
        file.write_text("b")
        while changes.count == before:
            await changes.next()

    watching([file, *also], story)


def test_a_folder_that_comes_before_the_watch_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, real = tmp_path / "a" / "shop.pem", watch.folders_to_watch

    def late(files: Iterable[Path]) -> watch.Folders:
        found = real(files)
        file.parent.mkdir(exist_ok=True)
        return found

    monkeypatch.setattr(watch, "folders_to_watch", late)

    async def story(changes: Changes, _: Watcher) -> None:
        await asyncio.sleep(0.5)
        file.write_text("a")
        await changes.next()

    assert watching([file], story) == 1


def test_a_link_that_points_nowhere_yet(tmp_path: Path) -> None:
    (tmp_path / "shop.pem").symlink_to("live/shop/cert.pem")

    async def story(changes: Changes, _: Watcher) -> None:
        (tmp_path / "live" / "shop").mkdir(parents=True)
        await asyncio.sleep(0.3)
        (tmp_path / "live" / "shop" / "cert.pem").write_text("a")
        await changes.next()

    assert watching([tmp_path / "shop.pem"], story) == 1


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nor is it read when it has something."""
    file, pipe = tmp_path / "pylos.toml", tmp_path / "shop.pem"
    file.write_text("a")
    os.mkfifo(pipe)

    async def story(changes: Changes, _: Watcher) -> None:
        file.write_text("b")
        await changes.next()
        pipe.unlink()
        pipe.write_text("c")
        await changes.next()

    assert watching([file, pipe], story) == 2


def test_files_are_read_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on a slow disk hold nothing up."""
    file, threads = tmp_path / "pylos.toml", []

    def noted(files: Iterable[Path]) -> bytes:
        threads.append(threading.current_thread())
        return digest(files)

    monkeypatch.setattr(watch, "digest", noted)

    async def story(changes: Changes, _: Watcher) -> None:
        file.write_text("b")
        await changes.next()

    assert watching([file], story) == 1
    assert threading.main_thread() not in threads


def test_nothing_to_watch() -> None:
    async def story(_: Changes, __: Watcher) -> None: ...

    assert watching([], story) == 0


def test_the_folders_of_links_are_watched_too(tmp_path: Path) -> None:
    target = tmp_path / "real" / "pylos.toml"
    target.parent.mkdir()
    target.write_text("")
    link = tmp_path / "etc" / "pylos.toml"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "real" / "pylos.toml")
    found = {folder.resolve() for folder in folders_to_watch([link]).open}
    assert found >= {link.parent.resolve(), target.parent.resolve()}


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert folders_to_watch([tmp_path / "a"]).open == [tmp_path]
