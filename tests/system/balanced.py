"""Servers that do as a test says from one moment to the next, and gateways with many upstreams in front of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from system.rig import until

from pylos.testing import GatewayUnderTest, RawClient, Request, ScriptedUpstream, UpstreamConnection, reply

NOWHERE = "http://127.0.0.1:1"
"""Where nobody listens."""


class Server(ScriptedUpstream):
    """Answers with its name. What it says otherwise is changed while it runs."""

    def __init__(self, name: str) -> None:
        super().__init__(serve=self._answer)
        self.name = name
        self.status = 200
        self.delay = 0.0
        """Seconds that it takes for each answer."""
        self.health: bytes | None = None
        """What checks get; None: as everybody."""
        self.checks: list[Request] = []
        self.seen: Counter[str] = Counter()
        """Requests by path, without checks."""
        self.go_on = threading.Event()
        """What asks for /hold waits for it."""

    def _answer(self, connection: UpstreamConnection) -> None:
        while (request := connection.read_request()) is not None:
            if "pylos-health" in (request.header("user-agent") or "") or request.target.startswith("/check"):
                self.checks.append(request)
                connection.send(reply(self.name.encode(), status=self.status) if self.health is None else self.health)
                continue
            self.seen[request.target] += 1
            if request.target.endswith("/hold"):
                connection.wait(self.go_on)
            time.sleep(self.delay)
            connection.send(reply(self.name.encode(), status=self.status))


class Balanced:
    """A gateway with one upstream for each name, at the path of that name."""

    def __init__(self, gateway: GatewayUnderTest, servers: Mapping[str, Server]) -> None:
        self.gateway = gateway
        self.servers = servers
        self.client = RawClient(gateway.address())

    def ask(self, upstream: str, **headers: str) -> str:
        """Give the name of who answers, or the reason why nobody does."""
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        answer = self.client.request("GET", f"/{upstream}/x", headers=fields)
        return answer.header("pylos-reason") or answer.body.decode()

    def asked(self, upstream: str, times: int, **headers: str) -> list[str]:
        """Likewise, for so many requests one after the other."""
        return [self.ask(upstream, **headers) for _ in range(times)]

    @contextmanager
    def held(self, upstream: str, times: int = 1, more: str = "") -> Iterator[Counter[str]]:
        """Have so many requests under way; gives by whom they are held. `more` are fields, each with its line's end."""
        path, clients = f"/{upstream}/hold", []

        def by_whom() -> Counter[str]:
            return +Counter({name: server.seen[path] - before[name] for name, server in self.servers.items()})

        before = {name: server.seen[path] for name, server in self.servers.items()}
        for number in range(1, times + 1):
            clients.append(RawClient(self.gateway.address()))
            clients[-1].send(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{more}\r\n".encode())
            until(lambda: by_whom().total() == number)  # noqa: B023 - waited for in this turn
        try:
            yield by_whom()
        finally:
            for server in self.servers.values():
                server.go_on.set()
            for client in clients:
                client.read_response()
                client.close()
            for server in self.servers.values():
                server.go_on.clear()

    def states(self, upstream: str) -> dict[str, str]:
        """Give the state of each server, by its name."""
        names = {server.url: name for name, server in self.servers.items()}
        found: list[dict[str, Any]] = self.gateway.status()["upstreams"][upstream]
        return {names.get(one["target"], one["target"]): one["state"] for one in found}


@contextmanager
def balanced(upstreams: Mapping[str, str], pylos: str = "", names: str = "abc") -> Iterator[Balanced]:
    """Run it. In the lines of an upstream <a>, <b> and <c> are the servers, <list> is all of them."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(name)) for name in names}
        gateway = stack.enter_context(GatewayUnderTest.from_toml(document(upstreams, servers, pylos)))
        it = Balanced(gateway, servers)
        stack.callback(it.client.close)
        for server in servers.values():
            stack.callback(server.go_on.set)
        yield it


def document(upstreams: Mapping[str, str], servers: Mapping[str, Server], pylos: str = "") -> str:
    """Give the configuration."""
    urls = {name: f'"{server.url}"' for name, server in servers.items()}
    words = {**urls, "list": ", ".join(urls.values()), "nowhere": f'"{NOWHERE}"'}
    parts = [f'[pylos]\naccess_log = false\n{pylos}\n[listen.http]\nbind = "127.0.0.1:0"\n']
    for name, lines in upstreams.items():
        for word, spelled in words.items():
            lines = lines.replace(f"<{word}>", spelled)  # noqa: PLW2901 - word by word
        parts.append(f'[upstream.{name}]\n{lines}\n[route.{name}]\nmatch = "/{name}/{{rest:path}}"\nto = "{name}"\n')
    return "\n".join(parts)
