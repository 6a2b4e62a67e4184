"""What `explain` says is what happens: the same stages answer, and here both are asked."""

from __future__ import annotations

from typing import Any

import pytest
from system.rig import Front, configuration

from pylos.config import load_text
from pylos.config.explain import Asker, Explanation, Refuse
from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream

PARTS = {
    "pylos": 'access_log = false\nuse = ["shield"]\ntrusted_proxies = ["127.0.0.2"]',
    "route": 'match = "GET,PUT a.example/x/{id}/{rest:path}"\nrewrite = "/y/{rest}"\nuse = ["tidy"]',
    "more": """
[policy.shield]
type = "filter"
deny_path = ["/x/secret/{rest:path}"]
max_body = "10B"

[policy.tidy]
type = "headers"
request = { remove = ["x-debug"], set = { x-tenant = "shop" }, add = { accept-language = "de" } }

[route.old]
match = "a.example/old/{rest:path}"
redirect = "https://b.example/{rest}"

[route.fixed]
match = "GET /fixed"
respond = { status = 203, text = "hello" }
""",
}
Fields = list[tuple[str, str]]
HOST = ("host", "A.example")
REQUESTS: dict[str, tuple[str, str, Fields]] = {
    "forwarded": ("GET", "/x/1/a/b?q=1", [HOST, ("x-debug", "1"), ("accept", "*/*")]),
    "dot segments": ("GET", "/x/1/./a/../%7Eb", [HOST]),
    "claims of a client": ("GET", "/x/1/", [HOST, ("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")]),
    "named in Connection": ("GET", "/x/1/", [HOST, ("connection", "x-drop"), ("x-drop", "1"), ("x-keep", "1")]),
    "no route": ("GET", "/nothing", [HOST]),
    "another method": ("POST", "/x/1/", [HOST]),
    "filtered": ("GET", "/x/secret/key", [HOST]),
    "filtered in disguise": ("GET", "/x/a/../secret/key", [HOST]),
    "too large": ("PUT", "/x/1/", [HOST, ("content-length", "11")]),
    "redirect": ("GET", "/old/a?b=c", [HOST]),
    "fixed": ("GET", "/fixed", [("host", "other.example")]),
    "bad path": ("GET", "/x/%zz", [HOST]),
    "bad host": ("GET", "/x/1/", [("host", "a b")]),
    "two hosts": ("GET", "/x/1/", [HOST, HOST]),
    "trace": ("TRACE", "/x/1/", [HOST]),
    "both framings": ("PUT", "/x/1/", [HOST, ("content-length", "3"), ("transfer-encoding", "chunked")]),
}


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("name", REQUESTS)
def test_told_and_done_are_the_same(name: str, source: str, front: Front, echo: EchoUpstream):
    method, target, fields = REQUESTS[name]
    gateway = front(echo.url, **PARTS)

    told = explained(echo.url, method, target, fields, source)

    head = "".join(f"{field}: {value}\r\n" for field, value in fields)
    with RawClient(gateway.address(), source=source) as client:
        client.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        answer = client.read_response()
    if told.sent is None:
        assert answer.status == told.status
        reason = told.outcome.reason if isinstance(told.outcome, Refuse) else None
        assert answer.header("pylos-reason") == reason
        assert answer.header("location") == getattr(told.outcome, "location", None)
        return
    seen: dict[str, Any] = answer.json()
    assert (seen["method"], seen["target"]) == (told.sent.method, told.sent.target)
    assert without_id(seen["headers"]) == without_id(told.sent.headers)


def explained(url: str, method: str, target: str, fields: Fields, source: str) -> Explanation:
    """Ask about the request without a gateway."""
    return Asker(load_text(configuration(url, **PARTS), "pylos.toml").table).ask(
        method, target, headers=fields, peer=source, nearest=3
    )


def without_id(fields: list[Any]) -> list[tuple[str, str]]:
    """The fields in the order of sending, but for the id of the request, which only a gateway gives."""
    return [(name.lower(), value) for name, value in fields if name.lower() != "x-request-id"]


def test_a_path_alone_is_asked_of_localhost(echo: EchoUpstream):
    told = explained(echo.url, "GET", "/fixed", [], "127.0.0.1")

    assert (told.request.host, told.status) == ("localhost", 203)


def test_the_match_that_took_it_is_told_with_its_captures():
    more = '[route.two]\nmatch = ["b.example/{rest:path}", "b.example/a/{id}"]\nto = "app"'
    asker = Asker(load_text(configuration("http://127.0.0.1:1", more=more), "x.toml").table)
    for path, pattern, captures in [
        ("/a/1", "b.example/a/{id}", {"id": "1"}),
        ("/c", "b.example/{rest:path}", {"rest": "/c"}),
    ]:
        told = asker.ask("GET", f"http://b.example{path}").route
        assert told is not None
        assert (told.pattern, told.captures) == (pattern, captures)


@pytest.mark.parametrize(
    "path, stage", [("/%zz", "guard"), ("/nothing", "route"), ("/x/secret/k", "admit"), ("/f/..-small", "rewrite")]
)
def test_the_stage_of_a_refusal_is_told(path: str, stage: str):
    more = """
[route.rewritten]
match = "/f/{rest:path}"
rewrite = { re = "^/f/(.*)-small$", to = "/raw/$1" }
to = "app"
[policy.shield]
type = "filter"
deny_path = ["/x/secret/{rest:path}"]
"""
    text = configuration("http://127.0.0.1:1", route='match = "/x/{rest:path}"\nuse = ["shield"]', more=more)
    outcome = Asker(load_text(text, "x.toml").table).ask("GET", path).outcome
    assert isinstance(outcome, Refuse)
    assert outcome.stage == stage
