"""The steady load, against upstreams instead of gateways: it must count what a client would notice, and only that."""

import pytest

from pylos.testing import Close, Reset, ScriptedUpstream, SteadyLoad, reply


@pytest.mark.parametrize("keep_alive", [True, False])
def test_answers_are_counted(*, keep_alive: bool) -> None:
    with ScriptedUpstream() as upstream:
        with SteadyLoad(upstream.address, clients=2, keep_alive=keep_alive, pause=0.001) as load:
            load.wait_for(20)
        assert load.failures == []
        assert load.answers >= 20
        assert (len(upstream.connections) == 2) is keep_alive


def test_a_connection_closed_between_requests_is_no_failure() -> None:
    with ScriptedUpstream([reply(), Close()]) as upstream, SteadyLoad(upstream.address, pause=0.001) as load:
        load.wait_for(20)
    assert load.failures == []


@pytest.mark.parametrize(
    "answer,told",
    [
        pytest.param([reply(status=503)], "status 503", id="status"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", Close()], "IncompleteError", id="truncated"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", Reset()], "Error", id="reset in an answer"),
        pytest.param([Close()], "EOFError", id="no answer"),
    ],
)
def test_what_fails(answer: list[object], told: str) -> None:
    with ScriptedUpstream(answer) as upstream, SteadyLoad(upstream.address, clients=1, pause=0.001) as load:
        load.wait_for(3)
    assert len(load.failures) >= 3
    assert told in load.failures[0]
    assert load.answers == 0


def test_a_refused_connection_fails() -> None:
    with ScriptedUpstream() as upstream:
        address = upstream.address
    with SteadyLoad(address, clients=1) as load:
        load.wait_for(2)
    assert "ConnectionRefusedError" in load.failures[0]


def test_other_statuses_may_be_fine() -> None:
    with (
        ScriptedUpstream(reply(status=429)) as upstream,
        SteadyLoad(upstream.address, accept=lambda status: status in {200, 429}) as load,
    ):
        load.wait_for(3)
    assert load.failures == []
