"""`pylos diff`: what it prints and how it ends; what counts as a difference is tested in tests/unit/config."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from pylos import supervisor
from pylos.config import load
from pylos.errors import GatewayError

ONE = '[listen.http]\nbind = "127.0.0.1:0"\n[route.one]\nmatch = "/one"\nrespond = { status = 204 }\n'
TWO = ONE.replace("204", "205")


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("one.toml").write_text(ONE)
    Path("two.toml").write_text(TWO)
    Path("same.toml").write_text("# the same\n" + ONE)
    Path("wrong.toml").write_text("[listen.http]\nbindd = 1\n")


class Line:
    """The line of a running gateway that uses one.toml."""

    def ask(self, question):
        assert question == {"type": "document", "number": None}
        return {"number": 1, "document": load("one.toml").document}

    def close(self): ...


@pytest.fixture
def running(monkeypatch):
    asked = []
    monkeypatch.setattr(supervisor, "connect", lambda name: asked.append(name) or Line())
    return asked


def test_two_files_that_differ(pylos):
    done = pylos("diff", "one.toml", "two.toml")

    assert done.exit_code == 1
    assert done.stdout == "~ [route.one]\n      respond.status: 204 -> 205\n"


def test_two_files_that_mean_the_same(pylos):
    done = pylos("diff", "one.toml", "same.toml")

    assert (done.exit_code, done.stdout) == (0, "no difference\n")


def test_json(pylos):
    done = pylos("diff", "one.toml", "two.toml", "--json")
    told = json.loads(done.stdout)

    assert done.exit_code == 1
    assert (told["same"], [change["object"] for change in told["changes"]]) == (False, [["route", "one"]])
    assert json.loads(pylos("diff", "one.toml", "same.toml", "--json").stdout) == {"same": True, "changes": []}


def test_against_what_runs(pylos, running):
    done = pylos("diff", "two.toml", "-n", "shop")

    assert done.exit_code == 1
    assert "204 -> 205" in done.stdout, "from what runs to the file"
    assert running == ["shop"]
    assert pylos("diff", "same.toml").exit_code == 0


def test_nothing_runs(pylos, monkeypatch):
    missing = GatewayError("no gateway named `default` runs here")
    monkeypatch.setattr(supervisor, "connect", Mock(side_effect=missing))
    done = pylos("diff", "one.toml")

    assert done.exit_code == 2
    assert done.stderr == (
        "pylos: no gateway named `default` runs here\n      = or compare two files: pylos diff A B\n"
    )


@pytest.mark.parametrize("files", [("wrong.toml", "one.toml"), ("one.toml", "wrong.toml"), ("one.toml", "none.toml")])
def test_a_file_that_is_wrong(pylos, files):
    done = pylos("diff", *files)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "error[P10" in done.stderr


def test_traffic(pylos):
    lines = [{"method": "GET", "host": "a", "path": path, "query": None} for path in ("/one", "/one", "/two")]
    Path("access.log").write_text("".join(json.dumps(line) + "\n" for line in lines) + "nonsense\n")
    done = pylos("diff", "one.toml", "two.toml", "--traffic", "access.log")

    assert done.exit_code == 1
    assert done.stdout.splitlines()[3:] == [
        "traffic: 2 of 3 requests would be treated in another way",
        "       2  route one, answer 204  ->  route one, answer 205",
        "          such as GET a/one",
        "1 lines could not be read",
    ]
    told = json.loads(pylos("diff", "one.toml", "two.toml", "--traffic", "access.log", "--json").stdout)["traffic"]
    assert (told["requests"], told["moved"], told["unreadable"]) == (3, 2, 1)


def test_traffic_that_cannot_be_read(pylos):
    done = pylos("diff", "one.toml", "two.toml", "--traffic", "none.log")

    assert (done.exit_code, done.stderr) == (2, "pylos: none.log cannot be read: No such file or directory\n")
