"""The client with an identity."""

import threading
from pathlib import Path

import pytest

from pylos import PylosError
from pylos.testing import Client, Close, EchoUpstream, Response, ScriptedUpstream, Wait, reply
from pylos.testing.plugin import ClientFactory, GatewayFactory, UpstreamFactory

TEXT = """
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["http://app.internal"]
[route.app]
match = "/{rest:path}"
to = "app"
"""


def fields(answer: Response) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.json()["headers"]}


def test_the_gateway_takes_it_for_the_client_at_that_address(
    gateway: GatewayFactory, echo: EchoUpstream, client: ClientFactory
):
    running = gateway(TEXT, upstreams={"app": echo}, trusted_proxies=["127.0.0.1"])

    seen = fields(client(running, ip="203.0.113.7").get("https://shop.example.com/"))
    assert seen["x-forwarded-for"] == "203.0.113.7, 127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["host"]) == ("https", "shop.example.com")
    assert fields(client(running, ip="2001:db8::7").get())["x-forwarded-for"] == "2001:db8::7, 127.0.0.1"


def test_an_address_that_would_be_ignored_is_refused(gateway: GatewayFactory, client: ClientFactory):
    with pytest.raises(PylosError, match=r'ip=.* would be ignored: .*trusted_proxies=\["127\.0\.0\.1"\]'):
        client(gateway(TEXT), ip="203.0.113.7")


def test_default_fields_and_the_requests_own() -> None:
    with EchoUpstream() as echo, Client(echo.address, headers={"Authorization": "one", "X-A": "1"}) as client:
        assert fields(client.get("/", {"authorization": "two"}))["authorization"] == "two"
        assert fields(client.get())["authorization"] == "one"
        assert fields(client.post("/", b"x"))["x-a"] == "1"


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_json(method: str):
    with EchoUpstream() as echo, Client(echo.address) as client:
        answer = getattr(client, method)("/orders", json={"item": None})
        assert (answer.json()["method"], answer.json()["body"]) == (method.upper(), '{"item": null}')
        assert fields(answer)["content-type"] == "application/json"
        assert client.post("/", json=None).json()["body"] == "null"
        assert client.delete("/orders/1").json()["method"] == "DELETE"


def test_cookies_stay_until_they_are_taken_away() -> None:
    def answer(cookie: str) -> bytes:
        return reply(headers=[("Set-Cookie", cookie), ("Set-Cookie", "other=2; Path=/; HttpOnly")])

    replies = [
        answer("session=a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        answer("session=; Max-Age=0"),
        answer("other=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
    ]
    with ScriptedUpstream(*replies) as app, Client(app.address, cookies={"first": "1"}) as client:
        client.get()
        assert client.cookies == {"first": "1", "session": "a=b", "other": "2"}
        client.get()
        assert client.cookies == {"first": "1", "other": "2"}
        client.get("/", {"Cookie": "own=1"})
        sent = [request.header("cookie") for request in app.requests]
    assert sent == ["first=1", "first=1; session=a=b; other=2", "own=1"]


def test_a_url_names_the_host() -> None:
    with EchoUpstream() as echo, Client(echo.address, host="default.example") as client:
        seen = client.get("http://shop.example.com:8080/a?b=c")
        assert (fields(seen)["host"], seen.json()["target"]) == ("shop.example.com:8080", "/a?b=c")
        assert fields(client.get("/"))["host"] == "default.example"
        assert "x-forwarded-proto" not in fields(client.get("/"))
        assert client.get("http://a.example").json()["target"] == "/"


@pytest.mark.parametrize("answer", [[reply(), Close()], [reply(headers={"Connection": "close"}), Close()]])
def test_a_closed_connection_is_opened_anew(answer: list[object], upstream: UpstreamFactory, client: ClientFactory):
    app = upstream(answer)  # type: ignore[arg-type]
    one = client(app.address)
    for _ in range(2):
        assert one.get().status == 200
        app.wait_until_idle()
    assert len(app.connections) == 2


def test_after_the_end_of_a_with_block_it_can_ask_again(upstream: UpstreamFactory):
    app = upstream()
    with Client(app.address) as client:
        client.get()
    with client:
        assert client.get().status == 200


def test_an_answer_that_came_too_late_is_not_that_of_the_next_request():
    go = threading.Event()
    with ScriptedUpstream([Wait(go), reply("late")], reply("next")) as app, Client(app.address, timeout=0.1) as client:
        with pytest.raises(TimeoutError):
            client.get()
        assert client.get().text == "next"


def test_over_a_unix_socket(gateway: GatewayFactory, echo: EchoUpstream, client: ClientFactory, tmp_path: Path):
    text = f'{TEXT}[listen.local]\nbind = "unix:{tmp_path}/front.sock"\n'
    running = gateway(text, upstreams={"app": echo}, trusted_proxies=["unix"])
    assert fields(client(running, "local", ip="203.0.113.7").get())["x-forwarded-for"] == "203.0.113.7"
