"""Records by programs and functions, and what is said where they fail."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from pylos.supervisor.acme import AcmeError, Dns, DnsCommand, DnsFunction, Storage, dns_call, leftovers
from pylos.supervisor.acme.dns_01 import DnsSolver
from pylos.supervisor.acme.dns_command import Command
from pylos.supervisor.acme.dns_visible import Server
from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import STALE
from pylos.supervisor.acme.threads import Threads

WRITE = "import sys; open('log', 'a').write(' '.join(sys.argv[1:]) + '\\n')"
PROOF = Proof("dns-01", "shop.test", "token", "token.thumb")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def python(code: str, timeout: float = 60) -> DnsCommand:
    return DnsCommand((sys.executable, "-c", code), timeout)


def test_a_command_is_told_name_and_value(tmp_path: Path):
    asyncio.run(Command(python(WRITE)).add("_acme-challenge.shop.test", "value"))
    asyncio.run(Command(python(WRITE)).remove("_acme-challenge.shop.test", "-value"))
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["add _acme-challenge.shop.test value", "remove _acme-challenge.shop.test -value"]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_function_is_called_in_a_process(tmp_path: Path, kind):
    (tmp_path / "zone.py").write_text(f"{kind} change(*given):\n    open('log', 'w').write(' '.join(given))\n")
    asyncio.run(Command(DnsFunction("zone:change")).add("name", "value"))
    assert (tmp_path / "log").read_text() == "add name value"


def test_a_module_is_found_in_its_folder_but_in_place_of_no_other(tmp_path: Path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "zone.py").write_text("import this_one\ndef change(*_):\n    raise SystemExit(this_one.HERE)\n")
    (folder / "this_one.py").write_text("HERE = 'found'\n")
    (folder / "colorsys.py").write_text("raise AssertionError('not this one')\n")
    (folder / "other.py").write_text("import colorsys\ndef change(*_):\n    raise SystemExit(colorsys.__name__)\n")
    with pytest.raises(AcmeError, match="found"):
        asyncio.run(Command(DnsFunction("zone:change", folder=folder)).add("name", "value"))
    with pytest.raises(AcmeError, match="ended with 1: colorsys"):
        asyncio.run(Command(DnsFunction("other:change", folder=folder)).add("name", "value"))


def test_a_function_is_imported_without_the_rights_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In which order, in this process: what may be read depends on where Python is installed."""
    code = "import builtins\nbuiltins.print('imported')\ndef change(*_):\n    print('called')\n"
    (tmp_path / "zone_of_users.py").write_text(code)
    steps: list[object] = []
    monkeypatch.setattr(dns_call, "give_up_root", lambda needed: steps.append(list(needed)))
    monkeypatch.setattr("builtins.print", steps.append)
    monkeypatch.setattr(sys, "path", [*sys.path])
    dns_call.main([str(tmp_path), "zone_of_users:change", "add", "name", "value"])
    assert steps == [[tmp_path], "imported", "called"]


@pytest.mark.parametrize("kind", ["command", "function"])
def test_what_is_said_to_the_supervisor_is_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("DNS_TOKEN", "secret")
    code = "import os\ndef change(*_):\n    open('log', 'w').write(' '.join(os.environ))\n"
    (tmp_path / "zone.py").write_text(code)
    by = DnsFunction("zone:change") if kind == "function" else python(f"{code}change()")
    asyncio.run(Command(by).add("name", "value"))
    found = (tmp_path / "log").read_text().split()
    assert {"DNS_TOKEN", "PATH"} <= {*found}
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS"} & {*found}


@pytest.mark.parametrize(
    "by, texts",
    [
        (python("import sys; print('no such zone'); sys.exit(3)"), ["ended with 3", "no such zone", "add name value"]),
        (python("import os; os.kill(os.getpid(), 9)"), ["ended with -9"]),
        (python("print('x' * 100_000, 'end'); raise SystemExit(1)"), ["x end"]),
        (python("import time; time.sleep(60)", 0.3), ["not done in 0.3 s", "killed"]),
        (DnsCommand(("./no-such-program",)), ["cannot be run", "No such file"]),
        (DnsFunction("no_such_module:change"), ["ModuleNotFoundError"]),
        (DnsFunction("sys:no_such_function"), ["AttributeError"]),
    ],
)
def test_what_fails_is_told(by, texts):
    with pytest.raises(AcmeError) as found:
        asyncio.run(Command(by).add("name", "value"))
    assert all(text in str(found.value) for text in texts), str(found.value)
    assert len(str(found.value)) < 3000


def test_what_a_command_has_started_ends_with_it():
    """It would keep the output open, and be waited for."""
    sleep = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]); {sleep}"
    with pytest.raises(AcmeError, match="killed"):
        asyncio.run(asyncio.wait_for(Command(python(code, 0.5)).add("name", "value"), 30))


def test_a_record_is_written_down_before_it_is_made(tmp_path: Path):
    storage = Storage(tmp_path / "storage")
    name, value = PROOF.record
    key = f"{name} {value}"

    async def story() -> None:
        threads = Threads()
        failing = DnsSolver(Dns(python("raise SystemExit(1)"), patience=0), storage, threads)
        with pytest.raises(AcmeError):
            await failing.present(PROOF)
        assert storage.answer("dns-01", key) is not None
        with pytest.raises(AcmeError):
            await failing.clean(PROOF)
        kept = storage.answer("dns-01", key)
        assert kept is not None, "not forgotten: the next process tries again"
        now = kept.at + STALE + 1
        assert await leftovers.clean(storage, threads, {"shop.test": Dns(python(WRITE))}, now) == []
        assert storage.answer("dns-01", key) is None

    asyncio.run(story())
    assert (tmp_path / "log").read_text() == f"remove {key}\n"


def test_a_record_that_cannot_be_removed_keeps_no_other(tmp_path: Path):
    storage, now = Storage(tmp_path / "storage"), 1.8e9
    for domain in ("a.test", "b.test", "c.test", "unknown.test"):
        key = f"_acme-challenge.{domain} value"
        storage.keep_answer(AnswerRecord(kind="dns-01", key=key, domain=domain, value="t.thumb", at=now - STALE - 1))
    fails = Dns(python("raise SystemExit('no such zone')"))
    dns = {"a.test": fails, "b.test": fails, "c.test": Dns(python("pass"))}
    errors = asyncio.run(leftovers.clean(storage, Threads(), dns, now))
    assert ["no such zone" in error for error in errors] == [True, True]
    left = {record.domain for record in storage.leftovers("dns-01", now)}
    assert left == {"a.test", "b.test", "unknown.test"}, "nobody knows how to remove the last one"


def test_the_record_of_a_proof():
    """RFC 8555 section 8.4: base64url of SHA-256, without padding."""
    assert PROOF.record == ("_acme-challenge.shop.test", "lCdftpJCXapaZHkBGIZbcubeKW8RmA0jSG_aZN01zbU")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_servers_are_read(text, expected):
    server = Server.read(text)
    assert (server.address, server.port) == expected
