"""What `pylos serve` hands to the supervisor; that it serves is tested in tests/system."""

from pathlib import Path

import pytest

from pylos import supervisor
from pylos.config import Loaded
from pylos.supervisor import demo


@pytest.fixture
def served(monkeypatch):
    """What the supervisor was asked to serve."""
    asked = []
    monkeypatch.setattr(supervisor, "serve", lambda *asked_for: asked.append(asked_for) or 0)
    return asked


def test_a_file(pylos, served):
    assert pylos("serve", "-c", "gateway.toml", "--ready-fd", "7").exit_code == 0
    assert served == [(Path("gateway.toml"), 7, "default")]


def test_the_default_file(pylos, file, served):
    file("")

    assert pylos("serve").exit_code == 0
    assert served == [(Path("pylos.toml"), None, "default")]


def test_a_name(pylos, file, served):
    file("")

    assert pylos("serve", "-n", "shop").exit_code == 0
    assert served == [(Path("pylos.toml"), None, "shop")]


def test_a_program_as_module_and_name(pylos, served):
    assert pylos("serve", "-c", "shop.gateway:config").exit_code == 0
    assert served == [(Path("shop.gateway:config"), None, "default")]


@pytest.mark.parametrize(
    "options, bind",
    [
        ([], "0.0.0.0:8080"),
        (["--port", "9000"], "0.0.0.0:9000"),
        (["--bind", "127.0.0.1:0"], "127.0.0.1:0"),
        (["--bind", "unix:/run/pylos.sock"], "unix:/run/pylos.sock"),
    ],
)
def test_targets_without_a_file(pylos, served, options, bind):
    assert pylos("serve", "localhost:8000", "http://10.0.0.1:8000", *options).exit_code == 0

    ((loaded, _, _),) = served
    assert isinstance(loaded, Loaded)
    assert loaded.table["listen"]["http"]["bind"] == [bind]
    assert [target["url"] for target in loaded.table["upstream"]["web"]["targets"]] == [
        "http://localhost:8000",
        "http://10.0.0.1:8000",
    ]


def test_the_exit_code_is_the_supervisors(pylos, monkeypatch):
    monkeypatch.setattr(supervisor, "serve", lambda _source, _ready_fd, _name: 1)

    assert pylos("serve", "localhost:8000").exit_code == 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["localhost:8000", "-c", "gateway.toml"], "targets or a file, not both"),
        ([], "there is no pylos.toml"),
        (["--port", "70000", "localhost:8000"], "--port"),
        (["--port", "9000", "--bind", "127.0.0.1:0", "localhost:8000"], "--bind or --port, not both"),
        (["-c", "gateway.toml", "--port", "9000"], "only for targets"),
        (["--nonsense"], "No such option"),
    ],
)
def test_what_is_not_understood(pylos, served, arguments, said):
    done = pylos("serve", *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert served == []


def test_a_wrong_target(pylos, served):
    done = pylos("serve", "ftp://localhost")

    assert done.exit_code == 1
    assert done.stderr.startswith("error[P205]: ")
    assert "--> command line\n" in done.stderr
    assert served == []


def test_the_demo(pylos, monkeypatch):
    asked = []
    monkeypatch.setattr(demo, "run", lambda port: asked.append(port) or 0)

    assert pylos("demo", "--port", "9000").exit_code == 0
    assert pylos("demo").exit_code == 0
    assert asked == [9000, 8080]
