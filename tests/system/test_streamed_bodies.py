"""A request body that passes through while it arrives: sent once, read once, and never without a deadline."""

from __future__ import annotations

import threading
import time

import pytest
from system.rig import Front

from pylos.testing import RawClient, UpstreamConnection, Wait, reply
from pylos.testing.plugin import UpstreamFactory

HEAD = b"%s /first HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"
NEXT = b"GET /second?padding-as-long-as-the-body HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("method", [b"PUT", b"POST"])
def test_body_that_was_streamed_is_neither_sent_nor_skipped_again(
    method: bytes, front: Front, upstream: UpstreamFactory
):
    """The upstream reads it all and closes; the request behind it is a request of its own."""

    def story(connection: UpstreamConnection) -> None:
        request = connection.read_request()
        if request is not None and request.target != "/first":
            connection.send(reply(b"second"))

    app = upstream(serve=story)
    gateway = front(app)
    with RawClient(gateway.address()) as client:
        client.send(HEAD % method)
        app.wait_for_requests(1, complete=False)
        client.send(b"x" * 20 + NEXT)
        assert client.read_response().status == 502
        assert client.read_response().body == b"second"
    assert [request.target for request in app.requests] == ["/first", "/second?padding-as-long-as-the-body"]
    assert app.requests[0].body == b"x" * 20


def test_upload_that_stalls_is_cut_though_the_answer_has_begun(front: Front, upstream: UpstreamFactory):
    def story(connection: UpstreamConnection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        connection.discard()

    gateway = front(upstream(serve=story), listen='timeouts = { body_idle = "500ms" }')
    with RawClient(gateway.address()) as client:
        started = time.monotonic()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        assert client.read_head().status == 200
        client.read_to_end()
        assert 0.4 < time.monotonic() - started < 3


def test_client_that_never_sends_what_it_announced_is_cut(front: Front, upstream: UpstreamFactory):
    def story(connection: UpstreamConnection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.discard()

    gateway = front(upstream(serve=story), listen='timeouts = { body_idle = "500ms" }')
    with RawClient(gateway.address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response()
        assert [interim.status for interim in response.interim] == [100]
        assert response.status == 408


def test_client_that_leaves_after_its_upload_ends_an_event_stream(front: Front, upstream: UpstreamFactory):
    gone = threading.Event()

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.discard()
        gone.set()

    app = upstream(serve=story)
    gateway = front(app)
    with RawClient(gateway.address()) as client:
        client.send(HEAD % b"POST")
        app.wait_for_requests(1, complete=False)
        client.send(b"x" * 20)
        assert client.read_head().status == 200
    assert gone.wait(2)


def test_dripped_head_has_the_time_of_a_head(front: Front, upstream: UpstreamFactory):
    def story(connection: UpstreamConnection) -> None:
        connection.read_head()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
            connection.send(bytes([byte]))
            threading.Event().wait(0.1)

    gateway = front(upstream(serve=story), upstream='timeouts = { first_byte = "500ms" }')
    with RawClient(gateway.address()) as client:
        assert client.get().status == 504


def test_half_closed_client_is_told_that_time_is_over(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream([Wait(threading.Event())]), route='match = "/{rest:path}"\ntimeout = "500ms"')
    with RawClient(gateway.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.half_close()
        assert client.read_response().status == 504


def test_trailer_does_not_get_round_a_policy(front: Front, upstream: UpstreamFactory):
    app = upstream()
    policy = '[policy.h]\ntype = "headers"\nrequest = { remove = ["x-admin"], set = { x-user = "nobody" } }'
    gateway = front(app, more=policy, route='match = "/{rest:path}"\nuse = ["h"]')
    trailers = b"X-Admin: 1\r\nx_user: root\r\nAuthorization: Basic Zm9v\r\nX-Sum: 5\r\n"
    with RawClient(gateway.address()) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + trailers + b"\r\n"
        )
        assert client.read_response().status == 200
    assert b"X-Sum: 5" in app.received
    for name in (b"X-Admin", b"x_user", b"Authorization"):
        assert name not in app.received


def test_location_has_the_host_that_a_trusted_proxy_names(front: Front, upstream: UpstreamFactory):
    app = upstream(lambda _: reply(b"", 302, {"Location": f"{app.url}/login"}))
    gateway = front(app, pylos='trusted_proxies = ["127.0.0.1"]\naccess_log = false')
    fields = [("X-Forwarded-Host", "p.example"), ("X-Forwarded-Proto", "https")]
    with RawClient(gateway.address()) as client:
        assert client.get("/", fields).header("location") == "https://p.example/login"
