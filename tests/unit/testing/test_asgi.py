"""ASGI applications as upstreams."""

import sys
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pylos import PylosError
from pylos.testing import AsgiUpstream, Client, RawClient


async def bare(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["path"].encode())]})
    await send({"type": "http.response.body", "body": b"bare"})


async def echo(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


def test_a_function() -> None:
    with AsgiUpstream(bare, lifespan="off") as app, Client(app.address) as client:
        answer = client.get("/a")
    assert (answer.text, answer.header("x-path")) == ("bare", "/a")


class Life:
    """The lifespan of an application, and what happened in it."""

    def __init__(self, *, fails: bool = False) -> None:
        self.events: list[str] = []
        self.fails = fails

    async def __aenter__(self) -> None:
        if self.fails:
            raise RuntimeError("no database")
        self.events.append("up")

    async def __aexit__(self, *_: object) -> None:
        self.events.append("down")


def application(life: Life) -> Starlette:
    async def count(request: Request) -> JSONResponse:
        return JSONResponse({"pieces": [len(piece) async for piece in request.stream() if piece]})

    async def fail(_: Request) -> Response:
        raise LookupError("a defect of the application")

    routes = [
        Route("/count", count, methods=["POST"]),
        Route("/fail", fail),
    ]
    return Starlette(routes=routes, lifespan=lambda _: life)


def test_the_lifespan_is_that_of_the_block() -> None:
    life = Life()
    with AsgiUpstream(application(life), lifespan="on") as app:
        assert life.events == ["up"]
        with Client(app.address) as client:
            assert client.post("/count", b"abc").json() == {"pieces": [3]}
    assert life.events == ["up", "down"]


def test_bodies_stream_both_ways() -> None:
    """A piece comes back before the next one is sent."""
    with AsgiUpstream(echo, lifespan="off") as app, RawClient(app.address) as client:
        client.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two"):
            client.send(b"3\r\n%b\r\n" % piece)
            client.read_until(b"3\r\n%b\r\n" % piece)
        client.send(b"0\r\n\r\n")
        client.read_until(b"0\r\n\r\n")


def test_a_failed_start_is_told() -> None:
    with pytest.raises(PylosError, match=r"the application did not start: RuntimeError: no database"):
        AsgiUpstream(application(Life(fails=True)), lifespan="on").start()


def test_what_the_application_raises_is_kept() -> None:
    with AsgiUpstream(application(Life())) as app, Client(app.address) as client:
        assert client.get("/fail").status == 500
    assert [str(error) for error in app.errors] == ["a defect of the application"]


def test_a_request_without_an_end_does_not_hold_up_the_end() -> None:
    with AsgiUpstream(echo, lifespan="off", grace=0) as app, RawClient(app.address) as client:
        client.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        client.read_until(b"abc")


def test_without_uvicorn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(PylosError, match="pip install uvicorn"):
        AsgiUpstream(bare)
