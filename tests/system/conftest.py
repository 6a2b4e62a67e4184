"""Fixtures of the system tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pylos import Gateway
from pylos.testing import RawClient, Response, ScriptedUpstream
from pylos.testing.plugin import GatewayFactory

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `probes` and `system.rig`

from system.rig import CONFIG, NEXT, Front, Refusal


@pytest.fixture
def front(gateway: GatewayFactory) -> Front:
    def start(
        *targets: str | ScriptedUpstream,
        pylos: str = "access_log = false",
        listen: str = "",
        upstream: str = "health = false",
        route: str = 'match = "/{rest:path}"',
        more: str = "",
    ) -> Gateway:
        urls = [target if isinstance(target, str) else target.url for target in targets]
        spelled = ", ".join(f'"{url}"' for url in urls)
        text = CONFIG.format(targets=spelled, pylos=pylos, listen=listen, upstream=upstream, route=route, more=more)
        return gateway(text)

    return start


@pytest.fixture
def refuses() -> Refusal:
    def send(
        gateway: Gateway,
        upstream: ScriptedUpstream,
        data: bytes,
        *,
        statuses: frozenset[int] = frozenset({400}),
        trickle: bool = False,
        begun: bool = False,
    ) -> Response:
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
