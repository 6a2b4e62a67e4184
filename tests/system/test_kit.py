"""What the test kit promises its users, with files as they are written for production: those of the examples."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from system.rig import configuration

from pylos import Expect
from pylos.testing import Close, IncompleteError, Reset, Wait, reply
from pylos.testing.plugin import AsgiFactory, ClientFactory, GatewayFactory, UpstreamFactory

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICIES = EXAMPLES / "policies" / "gateway.toml"


async def shout(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - the messages of ASGI
    """Give back what comes, piece by piece, in capitals; and tell in a field who asks."""
    fields = dict(scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-seen", fields[b"x-tenant"])]})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b"").upper(), "more_body": more})


def test_an_application_behind_a_file_of_production(gateway: GatewayFactory, asgi: AsgiFactory, client: ClientFactory):
    running = gateway(POLICIES, upstreams={"web": asgi(shout, lifespan="off")})

    answer = client(running).post("/orders", b"hello")
    assert (answer.text, answer.header("x-seen"), answer.header("x-served-by")) == ("HELLO", "shop", "pylos")
    assert client(running).get("/.env").header("pylos-reason") == "path_denied"


def test_an_application_gets_a_body_while_it_is_sent(gateway: GatewayFactory, asgi: AsgiFactory, client: ClientFactory):
    one = client(gateway(POLICIES, upstreams={"web": asgi(shout, lifespan="off")}))
    one.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b"one", b"two"):
        one.send(b"3\r\n%b\r\n" % piece)
        one.read_until(piece.upper())
    one.send(b"0\r\n\r\n")
    one.read_until(b"0\r\n\r\n")


def test_an_application_with_a_websocket(gateway: GatewayFactory, asgi: AsgiFactory):
    async def shout_back(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text((await socket.receive_text()).upper())
        await socket.close()

    app = asgi(Starlette(routes=[WebSocketRoute("/chat", shout_back)]))
    running = gateway(configuration(app.url, route='match = "/{rest:path}"\nupgrade = ["websocket"]'))
    with websockets.sync.client.connect(f"ws://{running.address()}/chat") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"


def test_what_is_explained_is_what_happens(gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory):
    web = upstream()
    running = gateway(POLICIES, upstreams={"web": web})

    assert running.explain("GET https://shop.example.com/catalogue/7") == Expect(route="catalogue", path="/catalogue/7")
    assert running.explain("PUT https://shop.example.com/catalogue/7") == Expect(status=405, reason="method_denied")
    assert client(running).get("https://shop.example.com/catalogue/7").status == 200
    assert client(running).put("https://shop.example.com/catalogue/7").header("pylos-reason") == "method_denied"
    [request] = web.requests
    assert (request.path, request.header("host")) == ("/catalogue/7", "shop.example.com")


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
def test_an_upstream_that_breaks_off(
    end: Close | Reset, gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory
):
    go = threading.Event()
    web = upstream([reply("a long answer")[:-5], Wait(go), end], reply("well"))
    one = client(gateway(POLICIES, upstreams={"web": web}))
    one.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    answer = one.read_head()
    go.set()
    with pytest.raises((IncompleteError, ConnectionResetError)):
        one.read_body(answer)
    assert one.get().text == "well", "over a connection of its own"


def test_cookies_and_identities(gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory):
    web = upstream(reply(headers={"Set-Cookie": "session=1; Path=/"}), reply())
    running = gateway(POLICIES, upstreams={"web": web}, trusted_proxies=["127.0.0.1"])
    alice = client(running, ip="203.0.113.7", headers={"authorization": "Bearer abc"})
    alice.post("/login", json={"user": "alice"})
    alice.get("/orders")

    first, second = web.wait_for_requests(2)
    assert (first.json(), first.header("cookie"), second.header("cookie")) == ({"user": "alice"}, None, "session=1")
    assert second.header("authorization") == "Bearer abc"
    assert (second.header("x-forwarded-for") or "").startswith("203.0.113.7")
