"""`[pylos] user`: root is given up, ports below 1024 can still be bound, and what it needs later is asked for first."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import issue
from system.serving import Serve, Serving, configuration

import pylos
from pylos.supervisor.runtime import ALONE

USER = "nobody"
HERE = Path(pylos.__file__).parents[1]
PACKAGES = Path(pytest.__file__).parents[1]


def may_run(python: str) -> bool:
    """Whether other users can run a Python as old as ours, which finds all that we have."""
    code = f"import sys; sys.path[:0] = {[str(HERE), str(PACKAGES)]}; import pylos.cli; print(sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, user=USER, cwd="/", check=False)
    except OSError:
        return False
    return done.stdout.strip() == str(sys.version_info[:2])


PYTHON = next((one for one in (sys.executable, "/usr/bin/python3") if os.geteuid() == 0 and may_run(one)), None)
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs root, and a Python that other users can run")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user can enter, with a file that all can read."""
    made = Path(tempfile.mkdtemp(prefix="pylos-user-", dir="/tmp"))
    made.chmod(0o755)
    (made / "run").mkdir()
    monkeypatch.delenv(ALONE)  # that one is root's
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(made / "run"))
    monkeypatch.setenv("STATE_DIRECTORY", str(made / "state"))
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{PACKAGES}")
    yield made
    shutil.rmtree(made)


def started(serve: Serve, folder: Path, more: str = "", bind: str = "127.0.0.1:0") -> Serving:
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}"\n{more}', bind))
    return serve(file, before=[str(PYTHON)])


def status(pid: int, word: str) -> list[str]:
    """The values of a line of /proc/PID/status."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return lines[word].split()


BIND_SERVICE = f"{1 << 10:016x}"
NONE = f"{0:016x}"


def test_the_supervisor_keeps_one_right_and_the_others_none(serve: Serve, folder: Path):
    (folder / "allows.py").write_text("from pylos import Request, policy\n\n@policy\ndef it(request: Request): ...\n")
    file = folder / "pylos.toml"
    asks = 'use = ["it"]\n[policy.it]\ntype = "python"\ncall = "allows:it"\n'
    file.write_text(configuration(f'user = "{USER}"') + asks)
    served = serve(file, before=[str(PYTHON)])
    assert served.get() == 200

    supervisor, gateway = served.ready["pid"], served.ready["gateway"]
    lanes = [pid for pid in children(supervisor) if pid != gateway]
    assert len(lanes) == 1
    uid = str(pwd.getpwnam(USER).pw_uid)
    assert {pid: status(pid, "Uid") for pid in (supervisor, gateway, *lanes)} == {
        pid: [uid] * 4 for pid in (supervisor, gateway, *lanes)
    }
    for sets in ("CapEff", "CapPrm"):
        assert status(supervisor, sets) == [BIND_SERVICE]
        assert [status(pid, sets) for pid in (gateway, *lanes)] == [[NONE]] * 2
    assert [status(pid, "CapInh") + status(pid, "CapAmb") for pid in (supervisor, gateway)] == [[NONE, NONE]] * 2
    assert status(gateway, "NoNewPrivs") == ["1"]


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_reload_adds_a_port_below_1024(serve: Serve, folder: Path):
    served = started(serve, folder)
    port = free_port_below_1024()
    (folder / "pylos.toml").write_text(configuration(f'user = "{USER}"', f"127.0.0.1:{port}"))
    served.hears("reloaded")

    assert served.get(f"127.0.0.1:{port}") == 200


def test_an_upgrade_keeps_the_one_right(serve: Serve, folder: Path):
    served = started(serve, folder)
    served.signal(signal.SIGUSR2)
    gateway = served.hears("upgraded")["gateway"]
    assert gateway != served.ready["gateway"]
    assert served.get() == 200

    assert status(served.ready["pid"], "CapEff") == [BIND_SERVICE]
    assert [status(gateway, sets) for sets in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [[NONE]] * 4
    port = free_port_below_1024()
    (folder / "pylos.toml").write_text(configuration(f'user = "{USER}"', f"127.0.0.1:{port}"))
    served.hears("reloaded")
    assert served.get(f"127.0.0.1:{port}") == 200


def test_a_right_of_a_service_manager_stays_with_the_supervisor(serve: Serve, folder: Path):
    """As AmbientCapabilities= and User= of systemd give it."""
    (folder / "run").chmod(0o777)
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}"', f"127.0.0.1:{free_port_below_1024()}"))
    rights = [
        "--inh-caps=-all,+net_bind_service",
        "--ambient-caps=+net_bind_service",
        "--bounding-set=-all,+net_bind_service",
    ]
    given = ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", *rights]
    served = serve(
        file, before=[*given, str(PYTHON)], environ={"STATE_DIRECTORY": "", "XDG_STATE_HOME": str(folder / "run")}
    )

    assert served.get() == 200
    assert status(served.ready["pid"], "CapEff") == [BIND_SERVICE]
    sets = ("CapEff", "CapPrm", "CapInh", "CapAmb")
    assert [status(served.ready["gateway"], each) for each in sets] == [[NONE]] * 4
    assert (folder / "run/pylos/secret").stat().st_uid == pwd.getpwnam(USER).pw_uid


def test_one_that_lost_its_supervisor_is_adopted(serve: Serve, folder: Path):
    first = started(serve, folder)
    first.process.kill()
    first.process.wait()
    second = started(serve, folder)

    assert second.ready["gateway"] == first.ready["gateway"]
    assert status(second.ready["pid"], "CapEff") == [BIND_SERVICE]
    assert second.get() == 200


def free_port_below_1024() -> int:
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")


def test_state_and_control_socket_are_that_users(serve: Serve, folder: Path):
    served = started(serve, folder)
    owners = {
        path: path.stat().st_uid
        for path in (folder / "state", folder / "state/secret", folder / "run/pylos/default.sock")
    }
    assert set(owners.values()) == {pwd.getpwnam(USER).pw_uid}
    for user in (None, USER):  # root and the user itself
        done = subprocess.run(
            [str(PYTHON), "-m", "pylos", "history"], user=user, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert served.get() == 200


def test_it_can_be_started_again(serve: Serve, folder: Path):
    started(serve, folder).events()

    assert started(serve, folder).get() == 200


def test_another_group(serve: Serve, folder: Path):
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}:daemon"'))
    served = serve(file, before=[str(PYTHON)])

    assert status(served.ready["gateway"], "Gid") == ["1"] * 4


@pytest.mark.parametrize(
    "user, told",
    [
        ("no-such-user", "this machine has no user `no-such-user` ([pylos] user)"),
        (f"{USER}:no-such-group", "this machine has no group `no-such-group` ([pylos] user)"),
    ],
)
def test_who_is_not_there(serve: Serve, folder: Path, user: str, told: str):
    (folder / "pylos.toml").write_text(configuration(f'user = "{user}"'))

    assert told in serve(folder / "pylos.toml", before=[str(PYTHON)]).failure()


def test_only_root_can_become_another_user(folder: Path):
    (folder / "own").mkdir()
    shutil.chown(folder / "own", USER)
    (folder / "pylos.toml").write_text(configuration('user = "root"'))
    done = subprocess.run(
        [str(PYTHON), "-m", "pylos", "serve", "-c", folder / "pylos.toml"],
        user=USER,
        env={
            **os.environ,
            "STATE_DIRECTORY": "",
            "XDG_RUNTIME_DIR": str(folder / "own"),
            "XDG_STATE_HOME": str(folder),
        },
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "cannot become `root` without being root ([pylos] user)\n      = start Pylos as root" in done.stderr


def test_a_state_directory_of_another_user(serve: Serve, folder: Path):
    (folder / "kept").mkdir()
    (folder / "kept" / "secret").touch(0o600)
    told = started(serve, folder, f'state = "{folder}/kept"').failure()

    assert f"{folder}/kept belongs to the user with the number 0" in told


def test_an_empty_state_directory_of_root_is_given_to_it(serve: Serve, folder: Path):
    """A new volume of a container."""
    (folder / "kept").mkdir(mode=0o755)
    started(serve, folder, f'state = "{folder}/kept"').get()

    assert (folder / "kept").owner() == USER
    assert (folder / "kept" / "secret").owner() == USER


def test_an_access_log_that_it_could_not_write(serve: Serve, folder: Path):
    text = configuration(f'user = "{USER}"').replace("access_log = false", f'access_log = {{ path = "{folder}/log" }}')
    (folder / "pylos.toml").write_text(text)
    told = serve(folder / "pylos.toml", before=[str(PYTHON)]).failure()

    assert f"`{folder}/log` cannot be written by `{USER}` ([pylos] access_log.path)" in told
    assert f"chown {USER} {folder}" in told


def test_a_file_that_no_reload_could_read(serve: Serve, folder: Path):
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}"'))
    file.chmod(0o600)
    served = serve(file, before=[str(PYTHON)])

    told = served.hears("not_readable")
    assert told["files"] == [str(file)]
    assert told["message"].endswith("every reload, upgrade and adoption will fail")
    assert served.get() == 200


@pytest.fixture
def closed(folder: Path) -> Path:
    """A folder with a certificate that only root may enter."""
    made = folder / "certs"
    made.mkdir(mode=0o700)
    issue("shop.example.com").save(made, "shop")
    (made / "shop.key").chmod(0o600)
    return made


CERTIFICATES = """
[listen.https]
bind = "127.0.0.1:0"
tls = "shop"
[tls.shop]
cert = "certs/shop.pem"
key = "certs/shop.key"
"""


def with_certificates(folder: Path) -> Path:
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}"') + CERTIFICATES)
    return file


def test_certificates_in_a_folder_that_it_may_not_enter(serve: Serve, folder: Path, closed: Path):
    """They are read once, as root; what fails then is told, and the file itself is still watched."""
    file = with_certificates(folder)
    served = serve(file, before=[str(PYTHON)])
    assert served.get() == 200

    served.signal(signal.SIGHUP)
    assert "certs/shop.pem` cannot be read: Permission denied" in served.hears("reload_refused")["message"]
    served.signal(signal.SIGUSR2)
    assert "Permission denied" in served.hears("upgrade_refused")["message"]
    assert served.get() == 200
    file.write_text(configuration(f'user = "{USER}"'))
    served.hears("reloaded")
    with_certificates(folder)
    served.hears("reload_refused")
    assert served.get() == 200
    (closed / "shop.key").chmod(0o644)
    closed.chmod(0o755)
    served.hears("reloaded")  # by itself
    issue("shop.example.com").save(closed, "shop")
    served.hears("certificates_renewed")


def test_such_certificates_after_another_supervisor(serve: Serve, folder: Path, closed: Path):
    first = serve(with_certificates(folder), before=[str(PYTHON)])
    first.process.kill()
    first.process.wait()
    second = serve(folder / "pylos.toml", before=[str(PYTHON)])

    assert closed.stat().st_mode & 0o777 == 0o700
    assert second.ready["gateway"] == first.ready["gateway"]
    assert second.get() == 200
    second.signal(signal.SIGHUP)
    second.hears("reload_refused")


def test_a_folder_that_may_be_entered_and_not_listed(serve: Serve, folder: Path, closed: Path):
    """Changes there are not told; those of the configuration are."""
    closed.chmod(0o711)
    (closed / "shop.key").chmod(0o644)
    file = with_certificates(folder)
    served = serve(file, before=[str(PYTHON)])

    assert served.hears("watch_failed")["folders"] == [str(closed)]
    file.write_text(configuration(f'user = "{USER}"'))
    served.hears("reloaded")


def test_a_unix_listener_has_the_mode_that_was_asked_for(serve: Serve, folder: Path):
    (folder / "sockets").mkdir()
    shutil.chown(folder / "sockets", USER)
    path = folder / "sockets/gate.sock"
    file = folder / "pylos.toml"
    file.write_text(configuration(f'user = "{USER}"', f"unix:{path}").replace("[route", 'mode = "0620"\n[route'))
    serve(file, before=[str(PYTHON)])

    assert stat.S_IMODE(path.stat().st_mode) == 0o620
    assert path.stat().st_uid == pwd.getpwnam(USER).pw_uid
