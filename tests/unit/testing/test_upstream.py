"""The scripted upstream, asked by the raw client."""

import threading

import pytest

from pylos.testing import (
    Close,
    HalfClose,
    IncompleteError,
    RawClient,
    Request,
    ScriptedUpstream,
    UpstreamConnection,
    Wait,
    reply,
)
from pylos.testing.script import Step


def test_replies_go_by_request_and_the_last_stays() -> None:
    with ScriptedUpstream(reply(b"a"), reply(b"b")) as upstream:
        with RawClient(upstream.address) as one, RawClient(upstream.address) as two:
            bodies = [one.get().text, two.get().text, one.get().text]
        assert bodies == ["a", "b", "b"]
        assert len(upstream.requests) == 3
        assert [request.connection for request in upstream.requests] == [0, 1, 0]


def test_every_byte_is_recorded_by_connection() -> None:
    with ScriptedUpstream() as upstream:
        for body in (b"one", b"two"):
            with RawClient(upstream.address) as client:
                client.request("PUT", "/", body=body)
        upstream.wait_until_idle()
        assert [connection.received[-7:] for connection in upstream.connections] == [b"\r\n\r\none", b"\r\n\r\ntwo"]
        assert upstream.received == b"".join(connection.received for connection in upstream.connections)


def test_half_a_request_is_recorded_and_is_no_request() -> None:
    with ScriptedUpstream() as upstream:
        with RawClient(upstream.address) as client:
            client.send(b"GET / HT")
            client.half_close()
            client.expect_eof()
        assert upstream.received == b"GET / HT"
        assert upstream.requests == []


def test_an_answer_waits_for_the_tests_signal() -> None:
    go = threading.Event()
    answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", Wait(go), b"k"]
    with ScriptedUpstream(answer) as upstream, RawClient(upstream.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        assert client.read_some() == b"o"
        go.set()
        assert client.read_exactly(1) == b"k"


def test_a_reply_by_hand() -> None:
    def answer(connection: UpstreamConnection, request: Request) -> None:
        connection.send(reply(request.body[::-1]))

    with ScriptedUpstream(answer) as upstream, RawClient(upstream.address) as client:
        assert client.request("POST", body=b"abc").body == b"cba"


def test_a_reply_that_is_a_function_of_the_request() -> None:
    def answer(request: Request) -> bytes | list[Step]:
        if request.path == "/gone":
            return [reply("a long body")[:-3], Close()]
        return reply(json={"id": request.path.rpartition("/")[2], **request.query}, status=201)

    with ScriptedUpstream(answer) as upstream, RawClient(upstream.address) as client:
        response = client.get("/orders/7?full=1&full=&x=%20")
        assert (response.status, response.header("content-type")) == (201, "application/json")
        assert response.json() == {"id": "7", "full": ["1", ""], "x": [" "]}
        with pytest.raises(IncompleteError):
            client.get("/gone")


def test_answers_in_one_call() -> None:
    assert reply("ä", headers={"X-A": "1"}).endswith(b"X-A: 1\r\nContent-Length: 2\r\n\r\n\xc3\xa4")
    assert reply(json=None, headers={"content-type": "application/problem+json"}).count(b"ontent-") == 2


def test_a_connection_by_hand() -> None:
    def story(connection: UpstreamConnection) -> None:
        request = connection.read_head()
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        assert connection.read_body(request) == b"all the same"
        connection.wait_for_eof()

    with ScriptedUpstream(serve=story) as upstream, RawClient(upstream.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n")
        assert client.read_response().status == 413
        [request] = upstream.wait_for_requests(1, complete=False)
        assert not request.complete
        client.send(b"all the same")
        assert upstream.wait_for_requests(1)[0].complete


def test_a_large_body_need_not_be_kept() -> None:
    counted: list[int] = []

    def story(connection: UpstreamConnection) -> None:
        connection.read_head()
        counted.append(connection.discard(1_000_000))
        connection.send(reply())

    with ScriptedUpstream(serve=story) as upstream, RawClient(upstream.address) as client:
        client.request("POST", body=b"x" * 1_000_000)
        assert counted == [1_000_000]
        assert len(upstream.received) < 200_000


def test_a_failed_script_fails_the_test() -> None:
    def story(connection: UpstreamConnection) -> None:
        assert connection.read_request() is None, "the script's own claim"

    upstream = ScriptedUpstream(serve=story).start()
    with RawClient(upstream.address) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        client.expect_eof()
    with pytest.raises(AssertionError, match="the script's own claim"):
        upstream.stop()


def test_a_failed_script_does_not_hide_the_tests_own_failure() -> None:
    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        raise RuntimeError("script")

    def test() -> None:
        with ScriptedUpstream(serve=story) as upstream, RawClient(upstream.address) as client:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            client.expect_eof()
            raise ValueError("test")

    with pytest.raises(ValueError, match="test") as caught:
        test()
    assert "RuntimeError('script')" in caught.value.__notes__[0]


def test_stop_ends_scripts_that_wait() -> None:
    with ScriptedUpstream([Wait(threading.Event())]) as upstream, RawClient(upstream.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream.wait_for_requests(1)
        upstream.stop()
        client.expect_eof()


def test_a_stopped_upstream_refuses_and_comes_back_at_the_same_address() -> None:
    with ScriptedUpstream() as upstream:
        address = upstream.address
        with RawClient(address) as client:
            client.get()
            upstream.stop()
            client.expect_eof()
        with pytest.raises(ConnectionRefusedError):
            RawClient(address)
        upstream.start()
        assert upstream.address == address
        with RawClient(address) as client:
            assert client.get().status == 200


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_test_may_end_a_connection_from_outside(end: str) -> None:
    with ScriptedUpstream() as upstream, RawClient(upstream.address) as client:
        client.get()
        [connection] = upstream.wait_for_connections(1)
        getattr(connection, end)()
        if end == "reset":
            with pytest.raises(ConnectionResetError):
                client.read_some()
        else:
            assert client.read_some() == b""
        assert connection.closed.wait(5)
        assert not connection.is_open


def test_a_half_closed_upstream_still_reads() -> None:
    with ScriptedUpstream([reply(), HalfClose()]) as upstream, RawClient(upstream.address) as client:
        client.get()
        client.expect_eof()
        client.send(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
        assert upstream.wait_for_requests(2)[1].target == "/again"


def test_waiting_tells_how_far_it_came() -> None:
    with ScriptedUpstream() as upstream:
        with pytest.raises(TimeoutError, match="0 of 1 requests"):
            upstream.wait_for_requests(1, timeout=0.01)
        with pytest.raises(TimeoutError, match="0 of 1 connections"):
            upstream.wait_for_connections(1, timeout=0.01)
        with RawClient(upstream.address):
            upstream.wait_for_connections(1)
            with pytest.raises(TimeoutError, match="1 connections still open"):
                upstream.wait_until_idle(timeout=0.01)
