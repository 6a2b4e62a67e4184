"""Test your own gateway: real gateways, fake upstreams and clients, as pytest fixtures and as plain classes.

    def test_orders(gateway, upstream, client):
        app = upstream(reply(json={"id": 7}))
        running = gateway(Path("gateway.toml"), upstreams={"app": app})
        assert client(running).get("https://shop.example.com/orders/7").json() == {"id": 7}
        assert running.explain("GET https://shop.example.com/orders/7") == Expect(route="orders", upstream="app")

The fixtures (`gateway`, `upstream`, `echo`, `asgi`, `client`) come with the installed package; the classes below need
no pytest. Everything binds port 0 and waits for signals, nothing sleeps.
"""

from pylos.testing.asgi import AsgiUpstream
from pylos.testing.caller import Client
from pylos.testing.client import RawClient
from pylos.testing.connection import UpstreamConnection
from pylos.testing.echo import EchoUpstream
from pylos.testing.load import SteadyLoad
from pylos.testing.message import IncompleteError, ProtocolError, Request, Response
from pylos.testing.script import Close, HalfClose, Reset, Wait, reply
from pylos.testing.told import Told
from pylos.testing.under_test import GatewayUnderTest
from pylos.testing.upstream import ScriptedUpstream

__all__ = [
    "AsgiUpstream",
    "Client",
    "Close",
    "EchoUpstream",
    "GatewayUnderTest",
    "HalfClose",
    "IncompleteError",
    "ProtocolError",
    "RawClient",
    "Request",
    "Reset",
    "Response",
    "ScriptedUpstream",
    "SteadyLoad",
    "Told",
    "UpstreamConnection",
    "Wait",
    "reply",
]
