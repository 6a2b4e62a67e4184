"""`Proxy` on a request is not passed on: CGI makes HTTP_PROXY of it, which HTTP libraries take for their proxy."""

from __future__ import annotations

from system.rig import Front

from pylos.testing import EchoUpstream
from pylos.testing.plugin import ClientFactory


def test_proxy_field_is_dropped(front: Front, echo: EchoUpstream, client: ClientFactory):
    client(front(echo.url)).get("/", {"Proxy": "http://evil.example:8080", "X-Proxy": "stays"})
    assert (echo.requests[0].header("proxy"), echo.requests[0].header("x-proxy")) == (None, "stays")
