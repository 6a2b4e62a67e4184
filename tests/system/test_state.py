"""The state directory and the secret in it: who makes them, who may use them, and what is said when that fails."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from system.serving import Serve, configuration


@pytest.fixture
def state(state_directory: Path) -> Path:
    """The state directory of gateways whose file names none; it is not there yet."""
    return state_directory


@pytest.fixture
def file(tmp_path: Path, state: Path) -> Path:
    assert not state.exists()
    path = tmp_path / "pylos.toml"
    path.write_text(configuration())
    return path


def test_it_is_made_for_us_alone_with_a_secret(serve: Serve, file: Path, state: Path):
    assert serve(file).get() == 200

    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "secret").stat().st_mode) == 0o600
    assert len(bytes.fromhex((state / "secret").read_text())) == 32


def test_the_secret_outlives_the_gateway(serve: Serve, file: Path, state: Path):
    first = serve(file)
    secret = (state / "secret").read_text()
    assert "state_failed" not in first.events()
    serve(file)

    assert (state / "secret").read_text() == secret


def test_another_name_has_a_folder_of_its_own(serve: Serve, file: Path, state: Path):
    serve(file)
    serve(file, ["-n", "shop"])

    assert (state / "shop" / "secret").read_text() != (state / "secret").read_text()


def test_two_gateways_with_one_state_directory(serve: Serve, file: Path, state: Path):
    first = serve(file)
    file.write_text(configuration(f'state = "{state}"'))
    told = serve(file, ["-n", "other"]).failure()

    assert f"{state} is in use by another gateway (process {first.ready['pid']}) ([pylos] state)" in told
    assert 'state = "DIR"' in told
    assert first.get() == 200


def test_an_upgrade_keeps_lock_and_secret(serve: Serve, file: Path, state: Path):
    first = serve(file)
    secret = (state / "secret").read_text()
    first.signal(signal.SIGUSR2)
    first.hears("upgraded")
    second = file.with_name("second.toml")
    second.write_text(configuration(f'state = "{state}"'))
    told = serve(second, ["-n", "other"]).failure()

    assert f"in use by another gateway (process {first.ready['pid']})" in told
    file.write_text(configuration(f'secret = {{ file = "{state}/other" }}'))
    first.signal(signal.SIGUSR2)
    assert first.hears("needs_restart")["keys"] == ["secret"]
    assert (state / "secret").read_text() == secret
    assert first.get() == 200


def test_a_killed_gateway_leaves_no_lock(serve: Serve, file: Path):
    first = serve(file)
    first.process.kill()
    first.process.wait()

    assert serve(file).get() == 200


def test_without_a_place_for_it_the_gateway_serves_and_says_so(serve: Serve, file: Path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", f"{file}/state")
    served = serve(file)

    assert served.get() == 200
    events = served.events()
    assert events.count("state_failed") == 1
    assert events.count("secret_in_memory") == 1


def test_one_that_is_named_must_be_there(serve: Serve, file: Path):
    file.write_text(configuration(f'state = "{file}/state"'))
    told = serve(file).failure()

    assert f"{file}/state, cannot be used: Not a directory ([pylos] state)" in told
    assert "= make it" in told


def test_a_folder_that_others_can_write_is_no_state_directory(serve: Serve, file: Path, tmp_path: Path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    file.write_text(configuration(f'state = "{tmp_path}/open"'))

    assert "can be written by others" in serve(file).failure()


@pytest.mark.parametrize("command", ["check", "routes", "explain GET http://localhost/"])
def test_commands_make_none(file: Path, state: Path, command: str):
    name, *arguments = command.split()
    subprocess.run([sys.executable, "-m", "pylos", name, *arguments, "-c", file], check=True, capture_output=True)

    assert not state.exists()


def test_a_gateway_inside_a_program_keeps_nothing_unless_asked(gateway, state: Path):
    assert gateway(configuration()).status()["generation"] == 1
    assert not state.exists()


# -- the secret ------------------------------------------------------------------------------------------------------


def test_a_secret_elsewhere(serve: Serve, file: Path, tmp_path: Path, state: Path):
    named = secret_in(tmp_path / "given")
    file.write_text(configuration(f'secret = {{ file = "{named}" }}'))

    assert serve(file).get() == 200
    assert not (state / "secret").exists()


def test_a_secret_elsewhere_must_be_there(serve: Serve, file: Path, tmp_path: Path):
    file.write_text(configuration(f'secret = {{ file = "{tmp_path}/none" }}'))
    told = serve(file).failure()

    assert f"the secret {tmp_path}/none cannot be read: No such file or directory ([pylos] secret)" in told


@pytest.mark.parametrize("text", ["", "too-short\n", "g" * 64, "ab" * 33])
def test_what_is_no_secret_is_told_and_not_shown(serve: Serve, file: Path, state: Path, text: str):
    state.mkdir(mode=0o700)
    (state / "secret").write_text(text)
    (state / "secret").chmod(0o600)
    told = serve(file).failure()

    assert f"the secret {state}/secret is no secret ([pylos] secret)" in told
    assert "openssl rand -hex 32" in told
    assert not text or text.strip() not in told
    assert (state / "secret").read_text() == text


def test_a_secret_that_others_can_read(serve: Serve, file: Path, state: Path):
    state.mkdir(mode=0o700)
    secret_in(state / "secret").chmod(0o604)
    told = serve(file).failure()

    assert f"{state}/secret can be read or written by others" in told
    assert f"chmod 600 {state}/secret" in told


def test_what_counts_from_the_next_start_is_told(serve: Serve, file: Path, tmp_path: Path):
    served = serve(file)
    file.write_text(configuration(f'state = "{tmp_path}/elsewhere"'))

    assert served.hears("needs_restart")["keys"] == ["state"]
    assert not (tmp_path / "elsewhere").exists()


def secret_in(path: Path) -> Path:
    """Write a new secret."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secrets.token_hex(32) + "\n")
    return path
