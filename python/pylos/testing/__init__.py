"""Test your own gateway: real gateways, scripted upstreams and raw clients, as pytest fixtures and as plain classes.

    def test_the_api_key_does_not_reach_the_app(gateway, echo, client):
        running = gateway(f'''
            [listen.http]
            bind = "127.0.0.1:0"
            [upstream.app]
            targets = ["{echo.url}"]
            [route.app]
            match = "/{{rest:path}}"
            to = "app"
        ''')
        seen = client(running).get("/orders").json()
        assert seen["target"] == "/orders"

The fixtures (`gateway`, `upstream`, `echo`, `client`) come with the installed package; the classes below need no
pytest. Everything binds port 0 and waits for signals, nothing sleeps.
"""

from pylos.testing.client import RawClient
from pylos.testing.connection import UpstreamConnection
from pylos.testing.echo import EchoUpstream
from pylos.testing.load import SteadyLoad
from pylos.testing.message import IncompleteError, ProtocolError, Request, Response
from pylos.testing.script import Close, HalfClose, Reset, Wait, reply
from pylos.testing.upstream import ScriptedUpstream

__all__ = [
    "Close",
    "EchoUpstream",
    "HalfClose",
    "IncompleteError",
    "ProtocolError",
    "RawClient",
    "Request",
    "Reset",
    "Response",
    "ScriptedUpstream",
    "SteadyLoad",
    "UpstreamConnection",
    "Wait",
    "reply",
]
