"""Log files are opened anew: no line is lost, and none comes to a file that was given up."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
from system.rig import configuration, until

from pylos import Gateway
from pylos.errors import PylosError
from pylos.testing import RawClient, ScriptedUpstream, SteadyLoad, Wait, reply

ROTATIONS = 20


def logged(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_to(path: Path) -> str:
    return f'access_log = {{ path = "{path}" }}\nworkers = 2'


def test_no_line_is_lost_and_none_is_late(tmp_path: Path):
    log = tmp_path / "access.log"
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway:
        sizes = {}
        with SteadyLoad(gateway.address(), clients=4) as load:
            for number in range(ROTATIONS):
                load.wait_for(20)
                old = tmp_path / f"old-{number}"
                log.rename(old)
                gateway._ask({"type": "reopen"})
                sizes[old] = old.stat().st_size
            load.wait_for(20)
        assert load.failures == []
        answers = load.answers
        gateway.stop()
    assert {old: old.stat().st_size for old in sizes} == sizes, "nothing is written there any more"
    lines = [line for path in (*sizes, log) for line in logged(path)]
    assert len({line["id"] for line in lines}) == len(lines) == answers
    times = [min(float(str(line["ts"])) for line in logged(path)) for path in (*sizes, log)]
    assert times == sorted(times)


def test_a_request_that_has_ended_is_in_the_old_file(tmp_path: Path):
    log, old = tmp_path / "access.log", tmp_path / "old"
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway:
        with RawClient(gateway.address()) as client:
            client.get("/before")
            client.get("/again")  # the line of the first is written when the second is read
            log.rename(old)
            gateway._ask({"type": "reopen"})
            assert "/before" in [line["path"] for line in logged(old)]
            client.get("/after")
        gateway.stop()
    assert "/after" in [line["path"] for line in logged(log)]


def test_sigusr1_does_the_same(tmp_path: Path):
    log = tmp_path / "access.log"
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway:
        log.rename(tmp_path / "old")
        gateway.signal(signal.SIGUSR1)
        until(log.exists)
        assert gateway.status()["generation"] == 1


def test_a_process_that_drains_does_so_too(tmp_path: Path):
    """Behind an upgrade two processes write the log."""
    log, old, go = tmp_path / "access.log", tmp_path / "old", threading.Event()
    with (
        ScriptedUpstream([Wait(go), reply(b"late")]) as app,
        Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway,
        RawClient(gateway.address()) as client,
    ):
        client.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        before = gateway.gateway_pid
        gateway.signal(signal.SIGUSR2)
        gateway.wait_for_process(other_than=before)
        log.rename(old)
        gateway._ask({"type": "reopen"})
        go.set()
        assert client.read_response().text == "late"
        until(lambda: "/late" in [line["path"] for line in logged(log)])
    assert logged(old) == []


def test_a_path_that_cannot_be_opened_keeps_the_old_file(tmp_path: Path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway:
        moved = folder.rename(tmp_path / "moved")
        with pytest.raises(PylosError, match="No such file or directory"):
            gateway._ask({"type": "reopen"})
        with RawClient(gateway.address()) as client:
            client.get("/kept")
        gateway.stop()
    assert [line["path"] for line in logged(moved / "access.log")] == ["/kept"]


def test_a_log_that_could_not_be_opened_at_the_start_gets_another_chance(tmp_path: Path):
    log = tmp_path / "logs" / "access.log"
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app, pylos=lines_to(log))) as gateway:
        log.parent.mkdir()
        gateway._ask({"type": "reopen"})
        with RawClient(gateway.address()) as client:
            client.get("/now")
        gateway.stop()
    assert [line["path"] for line in logged(log)] == ["/now"]
