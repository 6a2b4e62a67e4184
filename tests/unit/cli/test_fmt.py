import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pylos.cli import app

ROUGH = "[listen.http]\nbind='x:1' # here\n[pylos]\n"
LAID_OUT = "[listen.http]\nbind = 'x:1'  # here\n\n[pylos]\n"


def test_the_file_is_laid_out(pylos, file):
    name = file(ROUGH)
    done = pylos("fmt")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert Path(name).read_text() == LAID_OUT


def test_check_changes_nothing(pylos, file):
    name = file(ROUGH)
    done = pylos("fmt", "--check")

    assert (done.exit_code, done.stderr) == (1, "pylos.toml: would be changed\n")
    assert Path(name).read_text() == ROUGH


def test_check_of_what_is_laid_out(pylos, file):
    done = pylos("fmt", "-c", file(LAID_OUT), "--check")

    assert (done.exit_code, done.stdout) == (0, "pylos.toml: laid out\n")


def test_a_file_that_is_laid_out_is_not_touched(pylos, file):
    name = file(LAID_OUT)
    before = Path(name).stat().st_ino

    assert pylos("fmt").exit_code == 0
    assert Path(name).stat().st_ino == before


def test_standard_input():
    done = CliRunner().invoke(app, ["fmt", "-c", "-"], input=ROUGH)

    assert (done.exit_code, done.stdout) == (0, LAID_OUT)


def test_a_file_with_a_mistake_stays_as_it_is(pylos, file):
    name = file("a = \n")
    done = pylos("fmt")

    assert done.exit_code == 1
    assert done.stderr.startswith("error[P101]: ")
    assert Path(name).read_text() == "a = \n"


@pytest.mark.parametrize("name", ["gateway.json", "gateway.py"])
def test_what_is_no_toml_is_refused(pylos, name):
    Path(name).write_text("{}")
    done = pylos("fmt", "-c", name)

    assert done.exit_code == 1
    assert "is no TOML" in done.stderr


def test_rights_and_links_stay(pylos, file):
    name = Path(file(ROUGH))
    name.chmod(0o640)
    Path("link.toml").symlink_to(name)

    assert pylos("fmt", "-c", "link.toml").exit_code == 0
    assert Path("link.toml").is_symlink()
    assert (name.read_text(), stat.S_IMODE(name.stat().st_mode)) == (LAID_OUT, 0o640)


def test_line_ends_stay(pylos, file):
    name = file(ROUGH.replace("\n", "\r\n"))

    assert pylos("fmt").exit_code == 0
    assert Path(name).read_bytes() == LAID_OUT.replace("\n", "\r\n").encode()


def test_what_cannot_be_written_is_told(pylos, file, monkeypatch):
    name = file(ROUGH)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = pylos("fmt")

    assert (done.exit_code, done.stderr) == (1, "pylos: pylos.toml cannot be written: No space left on device\n")
    assert Path(name).read_text() == ROUGH
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.mark.parametrize("piped", [False, True])
def test_a_byte_order_mark_stays(pylos, tmp_path, piped):
    text = "\ufeff[pylos]\nworkers=2\n"
    if piped:
        assert pylos("fmt", "-c", "-", input=text).stdout == "\ufeff[pylos]\nworkers = 2\n"
        return
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")

    assert pylos("fmt", "-c", "x.toml").exit_code == 0
    assert (tmp_path / "x.toml").read_bytes() == b"\xef\xbb\xbf[pylos]\nworkers = 2\n"
