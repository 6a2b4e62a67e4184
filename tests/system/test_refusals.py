"""How a refusal is told: in the form that the client prefers, with its reason and the request's id."""

from __future__ import annotations

import pytest
from system.rig import Front

from pylos.testing.plugin import ClientFactory

ACCEPTS = [
    (None, "application/problem+json"),
    ("*/*", "application/problem+json"),
    ("application/json", "application/problem+json"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
    ("text/plain", "text/plain; charset=utf-8"),
    ("text/html;q=0.1, application/json", "application/problem+json"),
    ("text/html;q=0", "application/problem+json"),
]


@pytest.mark.parametrize("accept, content_type", ACCEPTS)
def test_refusal_by_accept(accept: str | None, content_type: str, front: Front, client: ClientFactory):
    gateway = front("http://127.0.0.1:1", route='match = "a.example/x"')
    response = client(gateway).get("/nowhere", {"Accept": accept} if accept else {})
    assert response.status == 404
    assert response.header("content-type") == content_type
    assert response.header("pylos-reason") == "no_route"
    assert response.header("x-request-id")
    if content_type == "application/problem+json":
        problem = response.json()
        assert problem["status"] == 404
        assert problem["title"] == "Not Found"
        assert problem["request_id"] == response.header("x-request-id")
