"""`class Gateway`: a gateway started from Python. The gateway process is one in miniature."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pylos import BindError, Config, ConfigError, Gateway, GatewayError, Headers, Listen, Respond, Route, Secret
from pylos.testing import RawClient


@pytest.fixture(autouse=True)
def miniature(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Path(__file__).parent / "fake_supervisor.py"
    monkeypatch.setattr("pylos.gateway.SUPERVISOR", [sys.executable, str(fake)])


def config(route: str = "site", **binds: str) -> Config:
    """Make a configuration; the route's name may tell the gateway in miniature to misbehave."""
    binds = binds or {"http": "127.0.0.1:0"}
    return Config(
        listen={name: Listen(bind=bind) for name, bind in binds.items()},
        route={route: Route(match="/{rest:path}", respond=Respond(text="hello"))},
    )


TEXT = '[listen.http]\nbind = "127.0.0.1:0"\n'


def test_it_serves_inside_the_block_and_not_after() -> None:
    with Gateway(config()) as gateway:
        with RawClient(gateway.url()) as client:
            assert client.get().json() == {"pid": gateway.gateway_pid, "generation": 1}
        address, pid = gateway.address(), gateway.pid
    with pytest.raises(ConnectionRefusedError):
        RawClient(address)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("source", ["text", "path", "config"])
def test_every_kind_of_source(tmp_path: Path, source: str) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text(TEXT)
    made = {"text": lambda: Gateway.from_toml(TEXT), "path": lambda: Gateway(file), "config": lambda: Gateway(config())}
    with made[source]() as gateway, RawClient(gateway.address()) as client:
        assert client.get().status == 200


def test_a_secret_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLOS_TEST_SECRET", "correct horse")
    monkeypatch.setattr(Gateway, "status", lambda _: {"upstreams": {}})
    made = Config(
        listen={"http": Listen(bind="127.0.0.1:0")},
        upstream={"web": {"targets": ["127.0.0.1:1"]}},
        policy={"token": Headers(request={"set": {"authorization": Secret(env="PYLOS_TEST_SECRET")}})},
        route={"site": Route(match="/{rest:path}", to="web", use=["token"])},
    )
    with Gateway(made) as gateway:
        told = gateway.explain("GET", "/")

    assert ("authorization", "***") in told.sent.headers
    assert "horse" not in str(told)


def test_addresses_by_listener(tmp_path: Path) -> None:
    text = f"""
        [listen.ops]
        bind = "127.0.0.1:0"
        serve = ["health"]
        [listen.web]
        bind = ["0.0.0.0:0", "[::1]:0", "unix:{tmp_path}/gate.sock"]
    """
    with Gateway.from_toml(text) as gateway:
        assert gateway.listen.keys() == {"ops", "web"}
        assert gateway.address() == gateway.addresses("web")[0], "the first that serves traffic"
        assert gateway.url("web").startswith("http://127.0.0.1:")
        assert gateway.addresses("web")[2] == f"unix:{tmp_path}/gate.sock"
        assert gateway.url("ops") == f"http://{gateway.address('ops')}"
        for address in gateway.addresses("web"):
            with RawClient(address) as client:
                assert client.get().status == 200
        with pytest.raises(KeyError, match="no listener 'wep'"):
            gateway.address("wep")


def test_text_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"(?s)error\[P102\].*--> <text>:2:1\n"):
        Gateway.from_toml("[listen.http]\nbindd = 1\n")


def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text("[listen.http]\nbindd = 1\n")
    with pytest.raises(ConfigError) as caught:
        Gateway(file).start()
    problem = caught.value.problems[0]
    assert (problem.code, problem.path, problem.place.line) == ("P102", ("listen", "http", "bindd"), 2)
    assert f"--> {file}:2:1\n" in str(caught.value)


def test_what_the_gateway_process_refuses() -> None:
    with pytest.raises(ConfigError, match="P201"):
        Gateway(config("refuse")).start()
    with pytest.raises(GatewayError, match="ended with exit code 7"):
        Gateway(config("crash")).start()


def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError, match="already in use"):
        Gateway(config(http=f"127.0.0.1:{taken.getsockname()[1]}")).start()


def test_reload_with_another_configuration() -> None:
    with Gateway(config()) as gateway:
        before = gateway.address()
        gateway.reload(config(http="127.0.0.1:0", more="127.0.0.1:0"))
        assert gateway.address("http") == before
        assert gateway.status()["generation"] == 2
        with RawClient(gateway.address("more")) as client:
            assert client.get().json()["generation"] == 2


def test_a_refused_reload_changes_nothing() -> None:
    with Gateway(config()) as gateway:
        before = gateway.listen
        with pytest.raises(ConfigError):
            gateway.reload(config("refuse", http="127.0.0.1:0", more="127.0.0.1:0"))
        assert gateway.listen == before
        assert gateway.status()["generation"] == 1


def test_a_file_that_is_refused_is_drift(tmp_path: Path) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text(TEXT)
    with Gateway(file) as gateway:
        assert gateway.status()["drift"] is None
        file.write_text("[listen")
        with pytest.raises(ConfigError):
            gateway.reload()
        assert gateway.status()["drift"] == "what the file says now was refused"


def test_a_document_that_says_the_same_is_not_applied() -> None:
    with Gateway(config()) as gateway:
        gateway.reload(config())
        route = '[route.site]\nmatch = ["/{rest:path}"]\nrespond = { text = "hello" }\n'
        gateway.reload_toml(TEXT + route)
        assert gateway.status()["generation"] == 1


def test_reload_reads_the_same_file_again(tmp_path: Path) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text(TEXT)
    with Gateway(file) as gateway:
        file.write_text(TEXT + '[listen.more]\nbind = "127.0.0.1:0"\n')
        gateway.reload()
        assert gateway.listen.keys() == {"http", "more"}


def test_a_killed_gateway_process_is_replaced() -> None:
    with Gateway(config()) as gateway:
        first = gateway.gateway_pid
        os.kill(first, signal.SIGKILL)
        second = gateway.wait_for_process(other_than=first)
        with RawClient(gateway.url()) as client:
            assert client.get().json() == {"pid": second, "generation": 1}


def test_leaving_the_block_drains() -> None:
    with Gateway(config()) as gateway:
        client = RawClient(gateway.address())
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        with RawClient(gateway.address()) as behind:
            behind.get()
        gateway.signal(signal.SIGTERM)
        client.send(b"x")
        assert client.read_response().status == 200
        client.close()
        assert gateway.wait(10) == 0


def test_an_exception_ends_it_at_once() -> None:
    def story(clients: list[RawClient]) -> None:
        with Gateway(config()) as gateway:
            clients.append(RawClient(gateway.address()))
            clients[0].send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            raise ValueError("enough")

    clients: list[RawClient] = []
    with pytest.raises(ValueError, match="enough"):
        story(clients)
    clients[0].expect_eof()
    clients[0].close()


def test_a_dead_supervisor_is_noticed() -> None:
    with Gateway(config()) as gateway:
        os.kill(gateway.pid, signal.SIGKILL)
        with pytest.raises(GatewayError, match="the supervisor has ended, exit code -9"):
            gateway.status()


def test_a_gateway_that_was_not_started_or_already_was() -> None:
    gateway = Gateway(config())
    assert gateway.stop() == 0
    with pytest.raises(GatewayError, match="has not been started"):
        gateway.status()
    with gateway, pytest.raises(GatewayError, match="has been started before"):
        gateway.start()


def test_async_with() -> None:
    async def story() -> None:
        async with Gateway(config()) as gateway:
            _, port = gateway.address().split(":")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def test_an_owner_that_dies_takes_the_gateway_along() -> None:
    owner = f"""
import sys, time
import pylos, pylos.gateway
pylos.gateway.SUPERVISOR = {[sys.executable, str(Path(__file__).parent / "fake_supervisor.py")]!r}
gateway = pylos.Gateway.from_toml({TEXT!r}).start()
print(gateway.address(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with RawClient(address) as client:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            with RawClient(address) as behind:
                behind.get()
            process.kill()
            client.send(b"x")
            assert client.read_response().status == 200, "it drains"
            client.expect_eof()
