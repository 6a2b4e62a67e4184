"""Interim answers, and answers that end at their blank line: the next request on both connections comes at once."""

from __future__ import annotations

import time
from http import HTTPStatus

import pytest
from system.rig import Front

from pylos.testing import RawClient, Response, UpstreamConnection, reply
from pylos.testing.plugin import UpstreamFactory

AT_ONCE = 0.1
ONE_WORKER = "access_log = false\nworkers = 1"


def _next_comes_at_once(client: RawClient) -> None:
    started = time.monotonic()
    assert client.get("/next").body == b"next"
    assert time.monotonic() - started < AT_ONCE


def test_exactly_one_100(front: Front, upstream: UpstreamFactory):
    def story(connection: UpstreamConnection) -> None:
        request = connection.read_head()
        assert request is not None
        assert (request.header("expect") or "").lower() == "100-continue"
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.send(reply(b"done"))
        connection.read_request()
        connection.send(reply(b"next"))

    app = upstream(serve=story)
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.read_head().status == HTTPStatus.CONTINUE
        client.send(b"hello")
        response = client.read_response()
        assert response.status == HTTPStatus.OK
        assert response.interim == []
        _next_comes_at_once(client)
    assert app.requests[0].body == b"hello"
    assert len(app.connections) == 1


def _bodiless(answer: bytes, method: str, front: Front, upstream: UpstreamFactory) -> Response:
    app = upstream(answer, reply(b"next"))
    with RawClient(front(app, pylos=ONE_WORKER).address()) as client:
        started = time.monotonic()
        response = client.request(method)
        assert time.monotonic() - started < AT_ONCE
        _next_comes_at_once(client)
    assert len(app.connections) == 1
    return response


def test_head_with_a_coding_does_not_hang(front: Front, upstream: UpstreamFactory):
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert _bodiless(answer, "HEAD", front, upstream).header("content-length") is None


def test_head_keeps_its_length(front: Front, upstream: UpstreamFactory):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    response = _bodiless(answer, "HEAD", front, upstream)
    assert response.header("content-length") == "100"
    assert response.header("transfer-encoding") is None


def test_304_keeps_its_length(front: Front, upstream: UpstreamFactory):
    answer = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"
    response = _bodiless(answer, "GET", front, upstream)
    assert response.status == HTTPStatus.NOT_MODIFIED
    assert response.header("content-length") == "100"
    assert response.header("transfer-encoding") is None


@pytest.mark.parametrize("field", [b"Transfer-Encoding: chunked", b"Content-Length: 0"])
def test_204_loses_its_framing(field: bytes, front: Front, upstream: UpstreamFactory):
    response = _bodiless(b"HTTP/1.1 204 No Content\r\n" + field + b"\r\n\r\n", "GET", front, upstream)
    assert response.status == HTTPStatus.NO_CONTENT
    assert response.header("content-length") is None
    assert response.header("transfer-encoding") is None


def test_1_0_client_gets_no_interim_answer(front: Front, upstream: UpstreamFactory):
    app = upstream(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + reply(b"done"))
    with RawClient(front(app).address()) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.status == HTTPStatus.OK
        assert response.interim == []
        assert response.body == b"done"
        client.expect_eof()


def test_1_1_client_gets_early_hints(front: Front, upstream: UpstreamFactory):
    app = upstream(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + reply(b"done"))
    with RawClient(front(app).address()) as client:
        response = client.get()
        assert [(hint.status, hint.header("link")) for hint in response.interim] == [(103, "</a.css>; rel=preload")]
        assert response.body == b"done"
