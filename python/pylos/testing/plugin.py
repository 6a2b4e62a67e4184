"""The pytest plugin: fixtures that start gateways and upstreams for one test and end them after it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Protocol

import pytest

from pylos.config import Config, load_text
from pylos.errors import PylosError
from pylos.gateway import Gateway
from pylos.testing.address import Address
from pylos.testing.asgi import Application, AsgiUpstream
from pylos.testing.caller import Client
from pylos.testing.client import DEFAULT_TIMEOUT
from pylos.testing.connection import UpstreamConnection
from pylos.testing.echo import EchoUpstream
from pylos.testing.fitted import StandIn
from pylos.testing.message import Headers
from pylos.testing.script import Reply
from pylos.testing.told import compared
from pylos.testing.under_test import GatewayUnderTest
from pylos.testing.upstream import ScriptedUpstream

pytest_plugins = ["pylos.testing.coverage_option"]


class GatewayFactory(Protocol):
    """Start a gateway: from TOML text (str), a file (Path) or a Config. It ends with the test.

    The other arguments are those of `GatewayUnderTest`.
    """

    def __call__(
        self,
        config: str | Path | Config,
        *,
        upstreams: Mapping[str, StandIn] | None = None,
        trusted_proxies: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> GatewayUnderTest:
        """Start it; it serves when this returns."""
        ...


class UpstreamFactory(Protocol):
    """Start a scripted upstream, with the arguments of ScriptedUpstream. It ends with the test."""

    def __call__(
        self,
        *replies: Reply,
        serve: Callable[[UpstreamConnection], object] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        unix: Path | None = None,
    ) -> ScriptedUpstream:
        """Start it."""
        ...


class AsgiFactory(Protocol):
    """Serve an ASGI application, with the arguments of AsgiUpstream. It ends with the test."""

    def __call__(self, app: Application, *, lifespan: Literal["auto", "on", "off"] = "auto") -> AsgiUpstream:
        """Serve it; its start-up is over when this returns."""
        ...


class ClientFactory(Protocol):
    """Open a client of a gateway (its only listener, or a named one) or of an address. It ends with the test.

    The other arguments are those of `Client`.
    """

    def __call__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        to: Gateway | Address,
        listener: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        source: str | None = None,
        *,
        ip: str | None = None,
        headers: Headers = (),
        cookies: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> Client:
        """Connect."""
        ...


@pytest.fixture
def gateway() -> Iterator[GatewayFactory]:
    """Start gateways: `gateway(toml_text)`, `gateway(Path("gateway.toml"), upstreams={"web": fake})`."""
    with ExitStack() as stack:

        def start(
            config: str | Path | Config,
            *,
            upstreams: Mapping[str, StandIn] | None = None,
            trusted_proxies: Sequence[str] = (),
            environ: Mapping[str, str] | None = None,
        ) -> GatewayUnderTest:
            source = load_text(config, "<text>", environ=environ) if isinstance(config, str) else config
            made = GatewayUnderTest(source, upstreams=upstreams, trusted_proxies=trusted_proxies, environ=environ)
            stack.callback(made.stop, drain=False)  # a test that is over waits for no request
            return made.start()

        yield start


@pytest.fixture
def upstream() -> Iterator[UpstreamFactory]:
    """Start scripted upstreams: `upstream(reply(b"hello"))`."""
    with ExitStack() as stack:

        def start(
            *replies: Reply,
            serve: Callable[[UpstreamConnection], object] | None = None,
            host: str = "127.0.0.1",
            port: int = 0,
            unix: Path | None = None,
        ) -> ScriptedUpstream:
            return stack.enter_context(ScriptedUpstream(*replies, serve=serve, host=host, port=port, unix=unix))

        yield start


@pytest.fixture
def echo() -> Iterator[EchoUpstream]:
    """Start an upstream that answers with what it saw, as JSON."""
    with EchoUpstream() as started:
        yield started


@pytest.fixture
def asgi() -> Iterator[AsgiFactory]:
    """Serve ASGI applications: `asgi(app)`. Needs uvicorn."""
    with ExitStack() as stack:

        def start(app: Application, *, lifespan: Literal["auto", "on", "off"] = "auto") -> AsgiUpstream:
            return stack.enter_context(AsgiUpstream(app, lifespan=lifespan))

        yield start


@pytest.fixture
def client() -> Iterator[ClientFactory]:
    """Open clients: `client(gateway)`, `client(gateway, ip="203.0.113.7", headers={"authorization": "Bearer abc"})`."""
    with ExitStack() as stack:

        def start(  # noqa: PLR0913 - as ClientFactory
            to: Gateway | Address,
            listener: str | None = None,
            timeout: float = DEFAULT_TIMEOUT,
            source: str | None = None,
            *,
            ip: str | None = None,
            headers: Headers = (),
            cookies: dict[str, str] | None = None,
            tls: ssl.SSLContext | None = None,
            server_name: str | None = None,
        ) -> Client:
            __tracebackhide__ = True
            address = to.address(listener) if isinstance(to, Gateway) else to
            if ip is not None and isinstance(to, Gateway):
                _must_believe(to, ip, source or _own_address(to.address(listener)))
            on_answer = to.answered(listener) if isinstance(to, GatewayUnderTest) else None
            made = Client(
                address,
                timeout,
                source,
                ip=ip,
                headers=headers,
                cookies=cookies,
                on_answer=on_answer,
                tls=tls,
                server_name=server_name,
            )
            return stack.enter_context(made)

        yield start


def _own_address(address: str) -> str | None:
    """Give the address from which a connection to another one of this machine comes; None over a Unix socket."""
    if address.startswith("unix:"):
        return None
    return "::1" if address.startswith("[") else "127.0.0.1"


def _must_believe(gateway: Gateway, ip: str, peer: str | None) -> None:
    """Refuse an address that the gateway would not believe: the test would be about another client."""
    __tracebackhide__ = True
    told = Gateway.explain(gateway, "GET", "/", headers={"x-forwarded-for": ip}, peer=peer)
    if told.request.client_ip is None or ip_address(told.request.client_ip) != ip_address(ip):
        proxy = peer or "unix"
        raise PylosError(
            f"the gateway does not trust {proxy}, so that ip={ip!r} would be ignored: "
            f'start it with gateway(..., trusted_proxies=["{proxy}"])'
        )


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show how a request goes otherwise than a test expects."""
    return compared(op, left, right)
