"""The accounts of a soak: what is a broken invariant, and what something that was done explains."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from soak.incidents import Effect, Incidents
from soak.ledger import Ledger, Wrong
from soak.log_lines import LogLines


@pytest.fixture
def incidents() -> Incidents:
    return Incidents()


@pytest.fixture
def ledger(incidents: Incidents) -> Ledger:
    return Ledger(incidents)


def _ask(ledger: Ledger, *effects: Effect, ends: Exception | None = None) -> str:
    """Ask once; give the token."""

    async def asked() -> str:
        async with ledger.asking("small", *effects) as one:
            if ends is not None:
                raise ends
        return one.token

    return asyncio.run(asked())


def test_answered_with_its_line(ledger: Ledger):
    ledger.line(_ask(ledger))
    ledger.look_for_lines(last=True)
    assert (ledger.broken, ledger.answered.total()) == ([], 1)


def test_a_line_may_come_before_the_client_has_read_all(ledger: Ledger):
    ledger.line("small.1")
    _ask(ledger)
    ledger.look_for_lines(last=True)
    assert ledger.broken == []


def test_answered_without_a_line(ledger: Ledger):
    _ask(ledger)
    ledger.look_for_lines()
    assert ledger.broken == [], "it may still come"
    ledger.look_for_lines(last=True)
    assert "has no line" in ledger.broken[0]


def test_two_lines(ledger: Ledger):
    token = _ask(ledger)
    ledger.line(token)
    ledger.line(token)
    assert "two lines" in ledger.broken[0]


def test_two_lines_of_a_request_that_failed(ledger: Ledger, incidents: Incidents):
    with incidents.during("kill", Effect.ENDS_REQUESTS):
        token = _ask(ledger, ends=ConnectionResetError())
    ledger.line(token)
    assert ledger.broken == []
    ledger.line(token)
    assert "two lines" in ledger.broken[0]


def test_a_kill_explains_what_failed_and_a_line_that_is_lost(ledger: Ledger, incidents: Incidents):
    _ask(ledger)
    with incidents.during("kill", Effect.ENDS_REQUESTS):
        _ask(ledger, ends=ConnectionResetError())
    ledger.look_for_lines(last=True)
    assert (ledger.broken, ledger.explained.total(), ledger.lines_excused) == ([], 1, 1)


FAILURES: dict[str, tuple[Exception, str]] = {
    "lost": (ConnectionResetError(), "nothing explains it"),
    "cut": (asyncio.IncompleteReadError(b"", 1), "nothing explains it"),
    "late": (TimeoutError(), "nothing explains it"),
    "wrong": (Wrong("another body"), "another body"),
    "refused": (ConnectionRefusedError(), "refused"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_nothing_explains(name: str, ledger: Ledger):
    ends, told = FAILURES[name]
    _ask(ledger, ends=ends)
    assert told in ledger.broken[0]


@pytest.mark.parametrize("name", ["wrong", "refused"])
def test_what_nothing_can_explain(name: str, ledger: Ledger, incidents: Incidents):
    with incidents.during("everything", *Effect):
        _ask(ledger, ends=FAILURES[name][0])
    assert ledger.broken_count == 1


def test_another_effect_explains_nothing(ledger: Ledger, incidents: Incidents):
    with incidents.during("target", Effect.HURTS_TARGETS):
        _ask(ledger, ends=ConnectionResetError())
        assert ledger.broken_count == 1
        _ask(ledger, Effect.HURTS_TARGETS, ends=ConnectionResetError())
    assert (ledger.broken_count, ledger.explained.total()) == (1, 1)


def test_an_incident_explains_only_its_time(incidents: Incidents):
    with incidents.during("kill", Effect.ENDS_REQUESTS):
        pass
    (incident,) = incidents.all
    end = incident.end or 0.0
    assert incidents.explain(Effect.ENDS_REQUESTS, end + 0.5, end + 1, grace=1)
    assert not incidents.explain(Effect.ENDS_REQUESTS, end + 2, end + 3, grace=1)
    assert not incidents.explain(Effect.ENDS_REQUESTS, incident.begin - 2, incident.begin - 1, grace=1)


def test_lines_are_read_over_renames_and_behind_torn_ones(ledger: Ledger, tmp_path: Path):
    log, aside = tmp_path / "access.log", tmp_path / "aside.log"
    tokens = [_ask(ledger) for _ in range(3)]
    lines = [b'{"ts":1,"query":"t=%s&seed=1"}\n' % token.encode() for token in tokens]
    reader = LogLines(ledger, log)
    log.write_bytes(lines[0] + lines[1][:10])
    reader.read()
    log.rename(aside)
    reader.renamed(aside, log)
    with aside.open("ab") as file:
        file.write(lines[1])
    log.write_bytes(lines[2])
    reader.read()
    ledger.look_for_lines(last=True)
    assert (ledger.broken, ledger.lines, reader.torn) == ([], 3, 1)
