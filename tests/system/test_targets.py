"""Where upstreams are reached: Unix sockets, IPv6, names; HTTP/1.0 servers; which Host they get; several listeners."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from system.rig import Front

from pylos.testing import Close, EchoUpstream, RawClient, Response, UpstreamConnection, Wait, reply
from pylos.testing.plugin import UpstreamFactory
from pylos.testing.script import Reply


def _host(response: Response) -> str:
    return str(next(value for name, value in response.json()["headers"] if name.lower() == "host"))


def test_unix_socket(front: Front, tmp_path: Path):
    with EchoUpstream(unix=tmp_path / "app.sock") as app, RawClient(front(app).address()) as client:
        assert client.get("/x").json()["target"] == "/x"


def test_ipv6(front: Front):
    with EchoUpstream(host="::1") as app, RawClient(front(app).address()) as client:
        assert client.get("/x").json()["target"] == "/x"


def test_name(front: Front, echo: EchoUpstream):
    with RawClient(front(f"localhost:{echo.port}").address()) as client:
        assert client.get("/x").json()["target"] == "/x"


def test_round_robin(front: Front):
    with EchoUpstream("a") as a, EchoUpstream("b") as b, EchoUpstream("c") as c:
        turns = 'health = false\nbalance = "round_robin"'
        gateway = front(a, b, c, pylos="access_log = false\nworkers = 1", upstream=turns)
        with RawClient(gateway.address()) as client:
            names = [client.get().json()["upstream"] for _ in range(9)]
    assert names[:3] == names[3:6] == names[6:]
    assert sorted(names[:3]) == ["a", "b", "c"]


@pytest.mark.parametrize("mode", ["preserve", "target", "shop.internal"])
def test_host_mode(mode: str, front: Front, echo: EchoUpstream):
    expected = {"preserve": "public.example", "target": echo.address}.get(mode, mode)
    gateway = front(echo, upstream=f'health = false\nhost = "{mode}"')
    with RawClient(gateway.address()) as client:
        response = client.request("GET", host="public.example")
        assert _host(response) == expected
        assert ["x-forwarded-host", "public.example"] in response.json()["headers"]


def test_1_0_server(front: Front, upstream: UpstreamFactory):
    """Its body ends with its connection; the client's connection goes on."""
    app = upstream([b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold", Close()])
    with RawClient(front(app).address()) as client:
        for _ in range(3):
            response = client.get()
            assert (response.version, response.body) == ("HTTP/1.1", b"old")
    assert len(app.connections) == 3


def test_1_0_server_that_keeps_its_connection(front: Front, upstream: UpstreamFactory):
    app = upstream(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold")
    gateway = front(app, pylos="access_log = false\nworkers = 1")
    with RawClient(gateway.address()) as client:
        assert [client.get().body for _ in range(3)] == [b"old"] * 3
    assert len(app.connections) in {1, 3}


def test_answer_that_ends_with_its_connection(front: Front, upstream: UpstreamFactory):
    app = upstream([b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Close()])
    with RawClient(front(app).address()) as client:
        assert client.get().body == b"until the end"
        assert client.get().body == b"until the end"


def test_chunked_upload_and_trailers_arrive(front: Front, echo: EchoUpstream):
    with RawClient(front(echo).address()) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Checksum: 1\r\n\r\n"
        )
        seen = client.read_response().json()
    assert seen["body"] == "abcde"
    assert seen["trailers"] in ([["X-Checksum", "1"]], [])


def test_client_that_leaves_before_the_answer_frees_the_upstream(front: Front, upstream: UpstreamFactory):
    left = threading.Event()

    def story(connection: UpstreamConnection) -> None:
        connection.read_request()
        connection.wait_for_eof()
        left.set()

    app = upstream(serve=story)
    with RawClient(front(app).address()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        app.wait_for_requests(1)
        client.reset()
        assert left.wait(1.0)


def test_slow_request_does_not_hold_up_others(front: Front, upstream: UpstreamFactory):
    """One worker, a hundred requests under way: the next one comes through at once."""
    go_on = threading.Event()
    slow: list[Reply] = [[Wait(go_on), reply(b"slow")]] * 100
    app = upstream(*slow, reply(b"quick"))
    gateway = front(app, pylos="access_log = false\nworkers = 1")
    clients = [RawClient(gateway.address()) for _ in range(100)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    app.wait_for_requests(100)
    with RawClient(gateway.address()) as client:
        assert client.get().body == b"quick"
    go_on.set()
    assert {client.read_response().body for client in clients} == {b"slow"}
    for client in clients:
        client.close()


def test_several_listeners(front: Front, echo: EchoUpstream, tmp_path: Path):
    more = f'[listen.local]\nbind = ["unix:{tmp_path}/front.sock", "[::1]:0"]'
    gateway = front(echo, more=more)
    for address in (gateway.address("http"), *gateway.addresses("local")):
        with RawClient(address) as client:
            assert client.get("/x").json()["target"] == "/x"
