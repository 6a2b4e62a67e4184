"""Fixtures of the system tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from system.rig import NEXT, Front, Refusal, Served, configuration
from system.serving import Serve, servings
from system.serving import configuration as hello

from pylos import Gateway
from pylos.testing import GatewayUnderTest, RawClient, Response, ScriptedUpstream
from pylos.testing.plugin import GatewayFactory


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start `pylos serve`; all are ended at the end."""
    with servings() as start:
        yield start


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a gateway that says hello."""
    path = tmp_path / "pylos.toml"
    path.write_text(hello())
    return path


@pytest.fixture
def front(gateway: GatewayFactory) -> Front:
    def start(*targets: str | ScriptedUpstream, **lines: str) -> GatewayUnderTest:
        return gateway(configuration(*targets, **lines))

    return start


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    """One gateway for a whole module, in front of an upstream that says "ok"."""
    with ScriptedUpstream() as app, Gateway.from_toml(configuration(app)) as started:
        yield Served(started, app)


@pytest.fixture
def refuses() -> Refusal:
    def send(
        served: Served,
        data: bytes,
        *,
        statuses: frozenset[int] = frozenset({400}),
        trickle: bool = False,
        begun: bool = False,
    ) -> Response:
        gateway, upstream = served
        before = len(upstream.requests)
        with RawClient(gateway.address()) as client:
            if trickle:
                client.trickle(data)
            client.send(NEXT if trickle else data + NEXT)
            answer = client.read_response()
            client.expect_eof()
        assert answer.status in statuses, data
        assert answer.header("pylos-reason"), data
        # A request of our own comes after whatever the gateway may have forwarded.
        with RawClient(gateway.address()) as client:
            assert client.get("/settled").status == 200
        later = upstream.requests[before:]
        assert [request.target for request in later if request.complete or not begun] == ["/settled"], data
        return answer

    return send
