"""What stands at a path: nothing is waited for, and nothing is read without end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pylos import contents
from pylos.contents import NoFileError, digest, digest_of, is_file, is_folder, is_link, is_there, read


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, unix_socket, folder, device])
def test_what_is_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]):
    monkeypatch.chdir(tmp_path)
    make(Path("it"))
    (tmp_path / "file").write_text("a")

    with pytest.raises(NoFileError, match="is no file"):
        read(Path("it"), 10)
    assert digest_of(Path("it")) != digest_of(Path("file"))
    monkeypatch.setattr(contents, "is_there", lambda _: False)  # as if it had come after that look
    with pytest.raises(OSError, match=r"is no file|No such device"):
        read(Path("it"), 10)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "large"
    file.write_bytes(b"x" * 100)
    assert len(read(file, 10)) == 11
    assert len(read(file, 100)) == 100

    monkeypatch.setattr(contents, "MOST_BYTES", 10)
    monkeypatch.setattr(contents, "digest_of_data", lambda data, kind=b"": kind + data)
    moment = file.stat().st_mtime_ns
    assert digest_of(file) == f"large100 {moment}".encode()
    os.utime(file, ns=(moment, moment + 1))
    assert digest_of(file) == f"large100 {moment + 1}".encode()


@pytest.mark.parametrize("name", ["x" * 300, "none", "file/a", "loop", "a\0b"])
def test_what_can_be_no_path_is_not_there(tmp_path: Path, name: str):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name

    assert [is_there(path), is_file(path), is_folder(path), is_link(path)] == [False] * 3 + [name == "loop"]
    with pytest.raises(OSError, match=r"too long|No such file|Not a directory|Too many levels|is no file"):
        read(path, 10)
    assert digest_of(path) != digest_of(tmp_path / "file")


def test_digests_tell_two_files_from_one(tmp_path: Path):
    for name, text in {"ab": "ab", "a": "a", "b": "b", "": ""}.items():
        (tmp_path / f"{name}.toml").write_text(text)

    assert digest([tmp_path / "ab.toml", tmp_path / ".toml"]) != digest([tmp_path / "a.toml", tmp_path / "b.toml"])
