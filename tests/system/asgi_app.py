"""The application behind `test_uvicorn.py`: what frameworks do with what a gateway tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PIECE = bytes(1 << 20)
EVENTS = 5
left = asyncio.Event()


async def seen(request: Request) -> Response:
    """What the framework makes of the request."""
    client = request.client.host if request.client else None
    return JSONResponse({"url": str(request.url), "client": client, "path": request.url.path})


async def to_seen(request: Request) -> Response:
    """Redirect to the absolute URL that the framework builds."""
    return RedirectResponse(request.url_for("seen"))


async def to_path(_: Request) -> Response:
    """Redirect to a path."""
    return RedirectResponse("/seen?x=1", status_code=302)


async def echo(socket: WebSocket) -> None:
    """Send back whatever comes, close as asked."""
    await socket.accept(subprotocol=next(iter(socket.scope["subprotocols"]), None))
    try:
        while (text := await socket.receive_text()) != "bye":
            await socket.send_text(text)
        await socket.close(4001, "as asked")
    except WebSocketDisconnect:
        left.set()


async def events(_: Request) -> Response:
    """One event each quarter of a second, then nothing more until the client leaves."""

    async def stream() -> AsyncIterator[str]:
        try:
            for number in range(EVENTS):
                yield f"data: {number} {asyncio.get_running_loop().time()}\n\n"
                await asyncio.sleep(0.25)
            while True:
                yield ": still here\n\n"
                await asyncio.sleep(0.1)
        finally:
            left.set()

    return StreamingResponse(stream(), media_type="text/event-stream")


async def endless(_: Request) -> Response:
    """Bytes without an end."""

    async def stream() -> AsyncIterator[bytes]:
        try:
            while True:
                yield PIECE[:65536]
                await asyncio.sleep(0)  # where nobody listens any more, sending does not wait
        finally:
            left.set()

    return StreamingResponse(stream(), media_type="application/octet-stream")


async def has_left(_: Request) -> Response:
    """Wait until the client of a stream has left."""
    await asyncio.wait_for(left.wait(), 5)
    left.clear()
    return JSONResponse({"left": True})


async def download(request: Request) -> Response:
    """As many MiB as asked for."""
    count = int(request.query_params["mib"])

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield PIECE

    return StreamingResponse(stream(), headers={"content-length": str(count << 20)})


async def upload(request: Request) -> Response:
    """Count what comes."""
    count = 0
    async for piece in request.stream():
        count += len(piece)
    return JSONResponse({"bytes": count})


app = Starlette(
    routes=[
        Route("/seen", seen, name="seen"),
        Route("/items/", seen),
        Route("/to-seen", to_seen),
        Route("/to-path", to_path),
        Route("/events", events),
        Route("/endless", endless),
        Route("/left", has_left),
        Route("/download", download),
        Route("/upload", upload, methods=["POST"]),
        WebSocketRoute("/echo", echo),
    ]
)
