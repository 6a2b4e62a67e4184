"""The pytest plugin: fixtures that start gateways and upstreams for one test and end them after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from pylos.config import Config
from pylos.gateway import Gateway
from pylos.testing.address import Address
from pylos.testing.client import DEFAULT_TIMEOUT, RawClient
from pylos.testing.connection import UpstreamConnection
from pylos.testing.echo import EchoUpstream
from pylos.testing.script import Reply
from pylos.testing.upstream import ScriptedUpstream


class GatewayFactory(Protocol):
    """Start a gateway: from TOML text (str), a file (Path) or a Config. It ends with the test."""

    def __call__(self, config: str | Path | Config) -> Gateway:
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


class ClientFactory(Protocol):
    """Open a connection to a gateway (its only listener, or a named one) or to an address. It ends with the test."""

    def __call__(
        self, to: Gateway | Address, listener: str | None = None, timeout: float = DEFAULT_TIMEOUT
    ) -> RawClient:
        """Connect."""
        ...


@pytest.fixture
def gateway() -> Iterator[GatewayFactory]:
    """Start gateways: `gateway(toml_text)`."""
    with ExitStack() as stack:

        def start(config: str | Path | Config) -> Gateway:
            made = Gateway.from_toml(config) if isinstance(config, str) else Gateway(config)
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
def client() -> Iterator[ClientFactory]:
    """Open raw clients: `client(gateway)`."""
    with ExitStack() as stack:

        def start(to: Gateway | Address, listener: str | None = None, timeout: float = DEFAULT_TIMEOUT) -> RawClient:
            address = to.address(listener) if isinstance(to, Gateway) else to
            return stack.enter_context(RawClient(address, timeout))

        yield start
