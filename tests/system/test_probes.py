"""The table of raw-byte probes against Pylos: each passes, in one write and a byte at a time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from probes.client import play
from probes.mutate import harm, mutants
from probes.observe import read_answers
from probes.outcome import BodyRefused, Rejected
from probes.peers import PEERS, Peer
from probes.probe import Probe
from probes.runner import Result, observe, run
from probes.subject import Pylos
from probes.table import PROBES
from probes.upstream import Upstream

from pylos.testing import RawClient

PAGE = Path(__file__).parents[2] / "docs" / "probes.md"
SHORT = 1500
TRICKLED = [probe for probe in PROBES if not probe.trickle and probe.size <= SHORT]
REFUSED = [
    probe for probe in PROBES if isinstance(probe.right[0], Rejected | BodyRefused) and not probe.right[0].silent
]

Stage = tuple[Upstream, tuple[str, int], str]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One gateway for the whole table."""
    with Upstream() as upstream, Pylos().gateway(upstream.port) as gateway:
        host, port = gateway.address().rsplit(":", 1)
        yield upstream, (host, int(port)), gateway.address("ops")


def _told(result: Result) -> str:
    return f"{result.verdict} ({result.short}): {' / or '.join(result.why)}\nreceived {result.seen.raw[:500]!r}"


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe_passes(probe: Probe, stage: Stage):
    upstream, address, _ = stage
    result = run(probe, address, upstream)
    assert result.verdict == "pass", _told(result)


@pytest.mark.parametrize("probe", TRICKLED, ids=lambda probe: probe.name)
def test_probe_passes_a_byte_at_a_time(probe: Probe, stage: Stage):
    upstream, address, _ = stage
    result = run(dataclasses.replace(probe, trickle=True), address, upstream)
    assert result.verdict == "pass", _told(result)


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_refusal_says_why(probe: Probe, stage: Stage):
    upstream, address, _ = stage
    upstream.expect(probe.reply)
    raw, closed = play(address, probe)
    answers, _ = read_answers(raw, closed=closed, first_is_head=probe.head)
    answer = answers[-1]
    assert answer.values(b"content-type") == [b"application/problem+json"]
    assert len(answer.values(b"pylos-reason")) == 1
    assert len(answer.values(b"x-request-id")) == 1
    assert answer.values(b"connection") == [b"close"]


@pytest.mark.parametrize("seed", range(4))
def test_mutants_do_no_harm(seed: int, stage: Stage):
    """Two thousand probes with a few bytes changed, on the client's or the upstream's side."""
    upstream, address, _ = stage
    for mutant in mutants(seed, 500):
        seen = observe(mutant, address, upstream)
        assert harm(seen) == [], (mutant.name, mutant.send, mutant.reply, seen.raw)


def test_no_probe_panicked(stage: Stage):
    """Runs behind the table: a panic is caught, so only the counter tells."""
    _, _, admin = stage
    with RawClient(admin) as client:
        lines = client.get("/metrics").text.splitlines()
    assert [line for line in lines if line.startswith("pylos_panics_total")] == ["pylos_panics_total 0"]


def test_names_are_unique():
    assert [name for name, count in Counter(probe.name for probe in PROBES).items() if count > 1] == []


def test_page_has_every_probe():
    """`PYTHONPATH=tests python -m probes docs/probes.md` writes it anew."""
    rows = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.count("|") > 6]
    assert [row for row in rows if row not in {"probe", "---"}] == [probe.name for probe in PROBES]


@pytest.mark.services
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer_is_scored(peer: Peer):
    """The harness works against other proxies: scores are produced, and what everybody can do passes."""
    if not peer.installed:
        pytest.skip(f"{peer.name} is not on this machine")
    with Upstream() as upstream, peer.running(upstream.port) as address:
        results = {probe.name: run(probe, address, upstream) for probe in PROBES}
    counts = Counter(result.verdict for result in results.values())
    assert counts.total() == len(PROBES)
    assert counts["pass"] > len(PROBES) // 2
    for name in ("plain-get", "length-plain", "coding-chunked", "pipelined-three", "answer-chunked", "websocket"):
        assert results[name].verdict == "pass", _told(results[name])
