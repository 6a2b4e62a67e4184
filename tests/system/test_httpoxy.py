"""`Proxy` on a request is not passed on: CGI makes HTTP_PROXY of it, which HTTP libraries take for their proxy."""

from __future__ import annotations

from system.rig import Front

from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream


def test_proxy_field_is_dropped(front: Front, echo: EchoUpstream):
    with RawClient(front(echo.url).address()) as client:
        seen = client.get("/", [("Proxy", "http://evil.example:8080"), ("X-Proxy", "stays")]).json()
    names = [name.lower() for name, _ in seen["headers"]]
    assert "proxy" not in names
    assert "x-proxy" in names
