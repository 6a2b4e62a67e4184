"""`pylos reload`, `rollback` and `history` against a supervisor whose gateway process is one in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).parents[1] / "supervisor" / "fake_supervisor.py"
TEXT = '[listen.http]\nbind = "127.0.0.1:0"\n[route.{name}]\nmatch = "/{name}"\nrespond = {{ status = 204 }}\n'


@pytest.fixture
def served(file, tmp_path):
    """A gateway of the default name that uses TEXT of `one`. Nothing watches its file: commands alone change it."""
    file(TEXT.format(name="one"))
    read, write = os.pipe()
    command = [sys.executable, str(FAKE), "serve", str(tmp_path / "pylos.toml"), str(write), "unwatched"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        with os.fdopen(read) as pipe:
            ready = json.loads(pipe.read())
        yield ready
        process.kill()


@pytest.mark.usefixtures("served")
def test_reload_tells_what_changed(pylos, file):
    file(TEXT.format(name="one").replace("204", "205") + '[route.two]\nmatch = "/two"\nrespond = { status = 204 }\n')
    done = pylos("reload")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "~ [route.one]",
        "      respond.status: 204 -> 205",
        "+ [route.two]",
        '      match = ["/two"]',
        "      respond.status = 204",
        "configuration 2 is in use",
    ]


@pytest.mark.usefixtures("served")
def test_reload_without_a_change(pylos, file):
    file("# only a comment\n" + TEXT.format(name="one"))
    done = pylos("reload")

    assert (done.exit_code, done.stdout) == (0, "nothing changed: configuration 1 stays in use\n")


def test_changes_that_cannot_be_told(pylos, monkeypatch):
    class Line:
        def ask(self, _) -> dict:
            return {"number": 2, "changes": None, "warnings": []}

        def close(self) -> None:
            pass

    monkeypatch.setattr("pylos.supervisor.connect", lambda _: Line())

    assert pylos("reload").stdout == "configuration 2 is in use; what it changes cannot be told\n"
    assert json.loads(pylos("reload", "--json").stdout)["changes"] is None


@pytest.mark.usefixtures("served")
def test_a_refused_reload_says_what_check_says(pylos, file):
    file(TEXT.format(name="one") + "[rout.x]\n[route.y]\ncolour = 1\n")
    done = pylos("reload")
    checked = pylos("check", "-c", str(Path("pylos.toml").absolute()))

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("error[P") == 3
    *problems, _ = done.stderr.split("\n\n")
    assert checked.stderr.split("\n\n")[: len(problems)] == problems
    assert json.loads(pylos("history", "--json").stdout)["entries"][0]["number"] == 1
    assert pylos("history").stdout.splitlines()[-1].endswith(": what the file says now was refused")


@pytest.mark.usefixtures("served")
def test_reload_as_json(pylos, file):
    file(TEXT.format(name="one").replace("204", "205"))
    assert json.loads(pylos("reload", "--json").stdout) == {
        "ok": True,
        "generation": 2,
        "changes": [
            {
                "change": "changed",
                "object": ["route", "one"],
                "keys": [{"key": "respond.status", "before": 204, "after": 205}],
            }
        ],
        "problems": [],
    }
    file("[listen")
    done = pylos("reload", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["ok"], [problem["code"] for problem in told["problems"]]) == (False, ["P101"])


@pytest.mark.usefixtures("served")
def test_warnings_are_told(pylos, file):
    file(TEXT.format(name="one") + 'without = ["idle"]\n[policy.idle]\ntype = "filter"\n')
    done = pylos("reload")

    assert done.exit_code == 0
    assert "warning[P" in done.stderr


@pytest.mark.usefixtures("served")
def test_history_and_rollback(pylos, file):
    for name in ("two", "three"):
        file(TEXT.format(name=name))
        assert pylos("reload").exit_code == 0
    rows = [line.split() for line in pylos("history").stdout.splitlines()]
    assert [row[:2] for row in rows[1:3]] == [["*", "3"], ["2", rows[2][1]]]
    assert "asked by a command" in pylos("history").stdout

    done = pylos("rollback")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "configuration 4 is in use"
    assert "+ [route.two]" in done.stdout
    assert pylos("history").stdout.splitlines()[-1].endswith(": configuration 2 was put back by a rollback")
    assert Path("pylos.toml").read_text() == TEXT.format(name="three")

    assert "+ [route.one]" in pylos("rollback").stdout, "further back"
    told = json.loads(pylos("history", "--json").stdout)
    assert [(entry["number"], entry["restores"], entry["in_use"]) for entry in told["entries"]] == [
        (5, 1, True),
        (4, 2, False),
        (3, None, False),
        (2, None, False),
        (1, None, False),
    ]
    assert "+ [route.three]" in pylos("reload").stdout, "the file wins again"
    assert json.loads(pylos("history", "--json").stdout)["drift"] is None


@pytest.mark.usefixtures("served")
def test_history_of_one(pylos, file):
    file(TEXT.format(name="two"))
    pylos("reload")

    assert pylos("history", "1").stdout.splitlines()[0] == "- [route.one]"
    assert pylos("history", "2").stdout == "the same as the one in use\n"
    told = json.loads(pylos("history", "1", "--json").stdout)
    assert (told["from"], told["to"], len(told["changes"])) == (1, 2, 2)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("command", [("history", "9"), ("rollback", "9")])
def test_a_number_that_is_not_there(pylos, command):
    done = pylos(*command)

    assert done.exit_code == 1
    assert done.stderr == "pylos: there is no configuration 9 in the history; there are 1\n"


@pytest.mark.usefixtures("served")
def test_a_second_gateway_of_the_same_name(pylos, file):
    file(TEXT.format(name="one"))
    done = subprocess.run(
        [sys.executable, str(FAKE), "serve", "pylos.toml", "1"], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 1
    assert "a gateway named `default` runs already (process " in done.stderr
    assert pylos("reload").exit_code == 0


@pytest.mark.parametrize("command", [("reload",), ("rollback",), ("history",), ("history", "1")])
def test_nothing_runs(pylos, command):
    done = pylos(*command, "-n", "shop")

    assert done.exit_code == 1
    assert done.stderr == ("pylos: no gateway named `shop` runs here; start it with `pylos serve`, as the same user\n")


@pytest.mark.parametrize("command", [("rollback", "0"), ("history", "x"), ("reload", "now")])
def test_what_is_not_understood(pylos, command):
    assert pylos(*command).exit_code == 2
