import subprocess
import sys

import pytest

from pylos.cli import app

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)


def test_the_commands_are_listed(pylos):
    done = pylos("--help")

    assert done.exit_code == 0
    assert [command for command in COMMANDS if command not in done.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shows_examples(pylos, command):
    done = pylos(command, "--help")

    assert done.exit_code == 0
    assert "Examples" in done.stdout
    assert f"pylos {command}" in done.stdout.split("Examples")[1]


def test_no_command_is_a_question(pylos):
    assert pylos().exit_code == 2


def test_the_version(pylos):
    done = pylos("--version")

    assert (done.exit_code, done.stdout.startswith("pylos 0.")) == (0, True)


@pytest.mark.parametrize("command", [[sys.executable, "-m", "pylos"], [sys.executable.replace("python", "pylos")]])
def test_the_module_and_the_script_are_the_command(command, tmp_path):
    done = subprocess.run([*command, "check"], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert done.returncode == 2
    assert "there is no pylos.toml" in done.stderr
