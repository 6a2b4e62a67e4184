"""Blanks before a colon and folded lines: refused from a client, never passed on from an upstream."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from system.rig import Front, Refusal, Served

from pylos.testing import RawClient
from pylos.testing.plugin import UpstreamFactory

LINE = b"POST / HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
BAD = {
    "coding with a blank": LINE + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "length with a tab": LINE + HOST + b"Content-Length\t: 5\r\n\r\nhello",
    "fold": LINE + HOST + b"X-A: 1\r\n b\r\n\r\n",
    "fold by tab": LINE + HOST + b"X-A: 1\r\n\tb\r\n\r\n",
    "blank on the first line": LINE + b" X-A: 1\r\n" + HOST + b"\r\n",
    "folded length": LINE + HOST + b"Content-Length:\r\n 6\r\n\r\nhello!",
    "folded coding": LINE + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded Host": LINE + b"Host:\r\n a\r\n\r\n",
}
ANSWERS = {
    "blank before the colon": b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok",
    "fold": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n b\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_sloppy_line_is_refused(data: bytes, plain: Served, refuses: Refusal):
    refuses(plain, data)
    assert b"\r\n " not in plain.app.received
    assert b"\r\n\t" not in plain.app.received


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_sloppy_line_of_an_answer_is_not_passed_on(answer: bytes, front: Front, upstream: UpstreamFactory):
    """The kit's reader would raise at a blank before a colon."""
    app = upstream(answer)
    with RawClient(front(app).address()) as client:
        response = client.get()
    assert response.status in {HTTPStatus.OK, HTTPStatus.BAD_GATEWAY}
    assert b"\r\n " not in response.head
