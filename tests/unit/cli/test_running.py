"""`pylos status`, `reopen` and `drain` against a supervisor whose gateway process is one in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pylos.cli.status import facts, targets

FAKE = Path(__file__).parents[1] / "supervisor" / "fake_supervisor.py"
TEXT = '[listen.http]\nbind = "127.0.0.1:0"\n[route.{name}]\nmatch = "/{name}"\nrespond = {{ status = 204 }}\n'


@pytest.fixture
def serve(file, tmp_path):
    """Start a gateway of the default name with a route of some name, that makes it misbehave."""
    processes = []

    def start(route="one", text=TEXT) -> tuple[subprocess.Popen[bytes], dict]:
        file(text.format(name=route))
        read, write = os.pipe()
        command = [sys.executable, str(FAKE), "serve", str(tmp_path / "pylos.toml"), str(write)]
        process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL, cwd=tmp_path)
        processes.append(process)
        os.close(write)
        with os.fdopen(read) as pipe:
            return process, json.loads(pipe.read())

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_status_for_readers(pylos, serve, tmp_path):
    process, ready = serve()
    done = pylos("status")

    assert done.exit_code == 0
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["gateway"] == "default"
    assert told["processes"] == f"supervisor {process.pid}, gateway {ready['gateway']}"
    assert told["configuration"].startswith("1, digest ")
    assert told["source"] == str(tmp_path / "pylos.toml")
    assert (told["drift"], told["workers"]) == ("none", "1")
    assert told["listeners"] == f"http: {ready['listen']['http'][0]}"
    assert told["since"].endswith("Z")


def test_status_for_programs(pylos, serve):
    _, ready = serve()
    told = json.loads(pylos("status", "--json").stdout)

    assert (told["name"], told["running"]["listen"], told["status"]["upstreams"]) == ("default", ready["listen"], {})


def test_what_status_shows_of_upstreams_and_drift():
    running = {
        "pid": 1,
        "gateway": 2,
        "since": "2026-01-01T00:00:00Z",
        "listen": {"http": ["127.0.0.1:1", "[::1]:1"], "ops": ["unix:/ops"]},
        "source": None,
        "generation": 7,
        "digest": "abc",
        "drift": "configuration 3 was put back by a rollback",
        "certificates": [],
    }
    upstreams = {
        "web": [{"target": "http://a:1", "state": "up", "active": 3}, {"target": "b", "state": "down", "active": 0}]
    }
    gateway = {"workers": 2, "connections": 5, "requests": 9, "upstreams": upstreams}

    told = list(facts("shop", running, gateway))
    assert ("drift", "configuration 3 was put back by a rollback") in told
    assert told[-2:] == [("listeners", "http: 127.0.0.1:1, [::1]:1"), ("", "ops: unix:/ops")]
    assert list(targets(upstreams)) == [["web", "http://a:1", "up", "3"], ["web", "b", "down", "0"]]


AUTOMATIC = """\
[pylos]
state = "state"
[listen.http]
bind = "127.0.0.1:0"
[tls.dev]
acme = "local"
domains = ["localhost", "127.0.0.1"]
[tls.shop]
acme = "nobody"
domains = ["shop.example.com"]
[acme.nobody]
directory = "https://127.0.0.1:1/directory"
"""


def rows_of(pylos):
    return {row["tls"]: row for row in json.loads(pylos("certs", "--json").stdout)}


def test_certificates_that_come_by_themselves(pylos, serve, file):
    file(AUTOMATIC)
    unknown = rows_of(pylos)
    assert (unknown["dev"]["names"], unknown["dev"]["key"]) == (["localhost", "127.0.0.1"], None)
    assert unknown["dev"]["note"].startswith("no gateway named `default` runs here")
    assert pylos("certs", "renew", "dev").exit_code == 1

    serve(text=AUTOMATIC)
    while (rows := rows_of(pylos))["shop"]["error"] is None:
        pass
    assert (rows["dev"]["acme"], rows["dev"]["key"], rows["dev"]["state"]) == ("local", "ECDSA P-256", "valid")
    assert rows["dev"]["issuer"].startswith("CN=Pylos local authority ")
    assert (rows["dev"]["note"], rows["shop"]["issuer"]) == (None, "CN=Pylos stand-in")
    assert rows["shop"]["note"].startswith(
        "signs itself until one comes: https://127.0.0.1:1/directory was not reached"
    )
    assert rows["shop"]["next_step"] in rows["shop"]["note"]

    line = next(line for line in pylos("certs").stdout.splitlines() if line.startswith("dev"))
    assert line.split()[1:4] == ["localhost,127.0.0.1", "ECDSA", "P-256"]
    assert line.split()[5:7] == ["acme", "local"]
    told = [line for line in pylos("status").stdout.splitlines() if line.startswith("certificate")]
    assert told[0].split()[1:4] == ["dev:", "valid,", "until"]
    assert "one that signs itself is shown" in told[1]

    assert pylos("certs", "renew", "dev").stdout == "certificate dev is being renewed\n"
    while rows_of(pylos)["dev"]["serial"] == rows["dev"]["serial"]:
        pass
    assert "no certificate `blog` comes by itself; there are dev, shop" in pylos("certs", "renew", "blog").stderr


def test_the_root_of_this_machine_can_be_trusted(pylos, serve, tmp_path):
    serve(text=AUTOMATIC)
    told = pylos("certs", "trust").stdout

    root = (tmp_path / "pylos-local.pem").read_text()
    assert root.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in root
    assert pylos("certs", "trust", "-").stdout == root
    assert "update-ca-certificates" in told or "add-trusted-cert" in told
    assert "certutil" in told
    assert pylos("certs", "trust", "missing/root.pem").exit_code == 1


def test_reopen(pylos, serve):
    serve()

    assert pylos("reopen").stdout == "log files were opened anew\n"
    assert json.loads(pylos("reopen", "--json").stdout) == {"ok": True}


def test_a_log_that_cannot_be_opened(pylos, serve):
    serve("gone")
    done = pylos("reopen")

    assert (done.exit_code, done.stderr) == (1, "pylos: it is gone\n")


@pytest.mark.parametrize("options", [(), ("--deadline", "5s")])
def test_drain_waits_for_the_end(pylos, serve, options):
    process, _ = serve()
    done = pylos("drain", *options)

    assert (done.exit_code, done.stdout) == (0, "ended\n")
    assert process.wait(10) == 0
    assert pylos("status").exit_code == 1


def test_drain_keeps_its_deadline(pylos, serve):
    process, ready = serve("stubborn")

    assert pylos("drain", "--deadline", "100ms").exit_code == 0
    process.wait(20)
    with pytest.raises(ProcessLookupError):
        os.kill(ready["gateway"], 0)


@pytest.mark.parametrize("deadline", ["10", "soon", "-1s", "1.5s"])
def test_a_deadline_that_is_none(pylos, deadline):
    done = pylos("drain", "--deadline", deadline)

    assert done.exit_code == 2
    assert "--deadline" in done.stderr


@pytest.mark.parametrize("command", ["status", "reopen", "drain"])
def test_nothing_runs(pylos, command):
    done = pylos(command, "-n", "nobody")

    assert done.exit_code == 1
    assert done.stderr.startswith("pylos: no gateway named `nobody` runs here; ")
