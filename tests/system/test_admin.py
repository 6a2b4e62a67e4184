"""The admin API on a listener: who may look, who may change, and what is bounded."""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator

import pytest
from system.rig import configuration

from pylos import Gateway
from pylos.testing import RawClient, Response, ScriptedUpstream

OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health", "admin"]\n'
WITH_TOKEN = OPS + 'admin_token = { env = "PYLOS_TEST_TOKEN" }\n'
TOKEN = secrets.token_urlsafe(24)
BEARER = ("Authorization", f"Bearer {TOKEN}")
TOML = ("Content-Type", "application/toml")


@pytest.fixture(scope="module")
def app() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as app:
        yield app


@pytest.fixture(scope="module")
def open_one(app: ScriptedUpstream) -> Iterator[Gateway]:
    """One without a token."""
    with Gateway.from_toml(configuration(app, more=OPS)) as gateway:
        yield gateway


@pytest.fixture
def guarded(app: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """One with a token."""
    monkeypatch.setenv("PYLOS_TEST_TOKEN", TOKEN)
    with Gateway.from_toml(configuration(app, more=WITH_TOKEN)) as gateway:
        yield gateway


def ask(gateway: Gateway, method: str, path: str, *headers: tuple[str, str], body: bytes | None = None) -> Response:
    with RawClient(gateway.address("ops")) as client:
        return client.request(method, path, headers, body=body, host=gateway.address("ops"))


def asked_as(host: str, gateway: Gateway) -> Response:
    with RawClient(gateway.address("ops")) as client:
        return client.request("GET", "/api/v1/status", host=host)


# -- without a token -------------------------------------------------------------------------------------------------


def test_everybody_may_look(open_one: Gateway):
    status = ask(open_one, "GET", "/api/v1/status")
    assert (status.status, status.header("content-type")) == (200, "application/json")
    told = status.json()
    assert told["running"]["listen"]["ops"] == [open_one.address("ops")]
    assert told["status"]["upstreams"]["app"][0]["state"] == "up"
    head = ask(open_one, "HEAD", "/api/v1/config")
    assert (head.status, head.body) == (200, b"")
    assert head.header("etag") == ask(open_one, "GET", "/api/v1/config").header("etag")
    question = json.dumps({"method": "GET", "url": "http://a.example/x"}).encode()
    explained = ask(open_one, "POST", "/api/v1/explain", body=question).json()
    assert (explained["route"]["name"], explained["outcome"]["upstream"]) == ("all", "app")
    assert "/api/v1/config" in ask(open_one, "GET", "/api/v1/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    "method, path", [("PUT", "/config"), *(("POST", f"/{name}") for name in ("reload", "rollback", "drain", "reopen"))]
)
@pytest.mark.parametrize("size", [0, 100, 1 << 20])
def test_nobody_may_change_anything(open_one: Gateway, method: str, path: str, size: int):
    came = ask(open_one, method, f"/api/v1{path}", ("If-Match", "*"), TOML, body=b"#" * size)
    assert (came.status, came.json()["reason"]) == (403, "admin_read_only")
    assert open_one.status()["generation"] == 1


def test_the_other_pages_are_there(open_one: Gateway):
    assert ask(open_one, "GET", "/livez").text == "ok\n"
    assert ask(open_one, "GET", "/readyz").text == "ready\n"
    assert "pylos_workers" in ask(open_one, "GET", "/metrics").text
    assert ask(open_one, "POST", "/livez").status == 405
    missing = ask(open_one, "GET", "/nothing")
    assert (missing.status, missing.json()["reason"]) == (404, "no_resource")


def test_what_is_no_text_is_refused(open_one: Gateway):
    came = ask(open_one, "POST", "/api/v1/explain", body=b"\xff")
    assert (came.status, came.header("pylos-reason")) == (400, "admin_not_utf8")


def test_it_is_not_served_where_nobody_asked_for_it(app: ScriptedUpstream):
    ops = OPS.replace(', "admin"', "")
    with Gateway.from_toml(configuration(app, more=ops)) as gateway:
        assert ask(gateway, "GET", "/api/v1/status").header("pylos-reason") == "no_page"
        with RawClient(gateway.address("http")) as client:
            assert client.get("/api/v1/status").status == 200, "it is the upstream's there"


@pytest.mark.parametrize(
    "host", ["gateway", "localhost:9090", "ops.localhost", "127.0.0.1", "[::1]:9090", "10.0.0.7:80"]
)
def test_it_answers_to_names_of_no_domain(open_one: Gateway, host: str):
    assert asked_as(host, open_one).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "EVIL.example:9090", "127.0.0.1.evil.example", "localhost.example", "127.1"]
)
def test_no_page_looks_in_by_a_name_of_its_own(open_one: Gateway, host: str):
    came = asked_as(host, open_one)
    assert (came.status, came.header("pylos-reason")) == (421, "admin_host")


# -- with a token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Authorization", TOKEN)],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", "Bearer ")],
        [BEARER, BEARER],
    ],
)
def test_who_does_not_show_it_may_not_even_look(guarded: Gateway, fields: list[tuple[str, str]]):
    for method, path in (("GET", "/status"), ("GET", "/nothing"), ("POST", "/reload")):
        came = ask(guarded, method, f"/api/v1{path}", *fields)
        assert (came.status, came.header("pylos-reason")) == (401, "admin_token_missing")
        assert came.header("www-authenticate") == 'Bearer realm="pylos"'
    assert ask(guarded, "GET", "/livez").status == 200, "a probe shows nothing"
    assert ask(guarded, "GET", "/metrics").status == 200


def test_who_shows_it_may_do_everything(guarded: Gateway, app: ScriptedUpstream):
    seen = ask(guarded, "GET", "/api/v1/config", BEARER)
    assert TOKEN not in seen.text
    tag = ("If-Match", seen.header("etag") or "")
    new = configuration(app, more=WITH_TOKEN, route='match = "/new/{rest:path}"').encode()
    dry = ask(guarded, "PUT", "/api/v1/config?dry_run=true", BEARER, TOML, tag, body=new)
    assert (dry.status, [one["object"] for one in dry.json()["changes"]]) == (200, [["route", "all"]])
    put = ask(guarded, "PUT", "/api/v1/config", BEARER, TOML, tag, body=new)
    assert (put.status, put.json()["number"]) == (200, 2)
    with RawClient(guarded.address("http")) as client:
        assert (client.get("/").status, client.get("/new/x").status) == (404, 200)
    assert ask(guarded, "PUT", "/api/v1/config", BEARER, TOML, tag, body=new).status == 412
    assert "put into use" in str(guarded.status()["drift"])
    assert ask(guarded, "POST", "/api/v1/rollback", ("authorization", f"bearer {TOKEN}")).status == 200
    assert ask(guarded, "POST", "/api/v1/reopen", BEARER).status == 204


def test_a_configuration_of_many_routes_in_chunks(guarded: Gateway, app: ScriptedUpstream):
    routes = "".join(f'[route.r{n}]\nmatch = "/r{n}"\nrespond = {{ status = 204 }}\n' for n in range(2000))
    new = configuration(app, more=WITH_TOKEN + routes).encode()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(new[at : at + 10_000]), new[at : at + 10_000]) for at in range(0, len(new), 10_000)
    )
    with RawClient(guarded.address("ops")) as client:
        client.send(
            b"PUT /api/v1/config HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nContent-Type: application/toml\r\n"
            b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (TOKEN.encode(), chunks)
        )
        assert client.read_response().status == 200


def test_what_is_too_large(guarded: Gateway):
    with RawClient(guarded.address("ops")) as client:
        client.send(
            b"PUT /api/v1/config HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nContent-Length: 9000000\r\n"
            b"Authorization: Bearer %s\r\n\r\n" % TOKEN.encode()
        )
        came = client.read_response()
    assert (came.status, came.header("pylos-reason")) == (413, "body_too_large")


def test_many_at_once_are_answered_or_told_to_wait(guarded: Gateway):
    statuses: list[int] = []

    def look() -> None:
        statuses.append(ask(guarded, "GET", "/api/v1/status", BEARER).status)

    threads = [threading.Thread(target=look) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 60
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert ask(guarded, "GET", "/api/v1/status", BEARER).status == 200


def test_an_end_that_is_asked_for(guarded: Gateway):
    came = ask(guarded, "POST", "/api/v1/drain", BEARER, body=b'{"deadline": "5s"}')
    assert (came.status, came.json()) == (202, {"draining": True})
    assert guarded.wait(20) == 0


def test_another_gateway_process_has_a_line_of_its_own(guarded: Gateway):
    before = guarded.gateway_pid
    assert ask(guarded, "GET", "/api/v1/status", BEARER).status == 200
    os.kill(before, signal.SIGKILL)
    after = guarded.wait_for_process(other_than=before)
    assert ask(guarded, "GET", "/api/v1/status", BEARER).json()["running"]["gateway"] == after
