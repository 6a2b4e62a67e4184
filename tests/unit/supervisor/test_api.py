"""The admin API over the control socket: what it answers is what its description says, and nothing else."""

import asyncio
import json
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from pylos.model.secret import SHOWN
from pylos.supervisor import control
from pylos.supervisor.answers import Answers
from pylos.supervisor.api import http1
from pylos.supervisor.api.message import MOST_BODY, Request
from pylos.supervisor.api.openapi import describe
from pylos.supervisor.api.operations import OPERATIONS
from pylos.supervisor.api.resource import PREFIX, Api, answer
from pylos.supervisor.control import ControlSocket
from pylos.supervisor.source import Checked, Source

Supervised = Any  # of conftest.py
Tell = Callable[[Source, Callable[[Supervised], Awaitable[None]]], None]
Table = Callable[..., Checked]
ONE = '[listen.http]\nbind = "127.0.0.1:0"\n[route.{name}]\nmatch = "/{name}"\nrespond = {{ status = 204 }}\n'
TOML = {"Content-Type": "application/toml"}


class Client:
    """Asks a gateway over its control socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def __call__(self, method: str, path: str, **more: object) -> httpx.Response:
        def ask() -> httpx.Response:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.path)), timeout=30) as client:
                return client.request(method, f"http://localhost{PREFIX}{path}", **more)

        return await asyncio.to_thread(ask)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes; gives all that comes until the end."""

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(self.path))
                sock.sendall(data)
                return b"".join(iter(lambda: sock.recv(65536), b""))

        return await asyncio.to_thread(ask)


Story = Callable[[Supervised, Client], Awaitable[None]]
Asking = Callable[[Source, Story], None]


@pytest.fixture
def serve(tell: Tell) -> Asking:
    """Run a story with a supervisor that has a control socket."""

    def run(source: Source, story: Story) -> None:
        async def whole(running: Supervised) -> None:
            opened = ControlSocket.open("default")
            answering = asyncio.create_task(opened.serve(running.supervisor))
            try:
                await story(running, Client(opened.path))
            finally:
                answering.cancel()
                opened.close()

        tell(source, whole)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "pylos.toml"
    file.write_text(ONE.format(name="one"))
    return file


# -- the description -------------------------------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PATHS = list(dict.fromkeys(operation.path for operation in OPERATIONS))
BODIES = {("POST", "/explain"): {"method": "GET", "url": "/one"}}


def test_what_is_answered_is_what_is_described(serve: Asking, file: Path) -> None:
    """Every path with every method: described, and then an answer that is; or not, and then 405."""

    async def story(_: Supervised, ask: Client) -> None:
        described = (await ask("GET", "/openapi.json")).json()
        assert sorted(described["paths"]) == sorted(PREFIX + path for path in PATHS)
        for path in sorted(PATHS, key=lambda path: path == "/drain"):
            methods = described["paths"][PREFIX + path]
            for method in METHODS:
                body = BODIES.get((method, path))
                came = await ask(method, path, **({"json": body} if body else {}))
                if method.lower() in methods:
                    check_answer(came, methods[method.lower()], described)
                else:
                    assert (came.status_code, "GET" in came.headers["allow"]) == (405, "get" in methods)

    serve(file, story)


def check_answer(came: httpx.Response, operation: dict[str, Any], described: dict[str, Any]) -> None:
    """Hold an answer against the description of its operation."""
    assert str(came.status_code) in operation["responses"], (operation["operationId"], came.text)
    told = operation["responses"][str(came.status_code)]
    if not came.content:
        return
    ((form, content),) = told["content"].items()
    assert came.headers["content-type"] == form
    schema = {**content["schema"], "components": described["components"]}
    Draft202012Validator(schema).validate(came.json())


def test_the_description_is_sound() -> None:
    described = describe(OPERATIONS)
    assert described["openapi"] == "3.1.0"
    names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    told = json.dumps(described)
    refs = {part.split('"')[0] for part in told.split('"#/components/schemas/')[1:]}
    assert refs - schemas.keys() == set()
    for operation in OPERATIONS:
        one = described["paths"][PREFIX + operation.path][operation.method.lower()]
        assert one["security"] == ([{"token": []}] if operation.changes else [{}, {"token": []}])


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/status", "/status", "/"])
def test_what_is_not_there(serve: Asking, table: Table, path: str) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        came = await ask.raw(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        assert came.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert b'"reason":"no_resource"' in came

    serve(table(), story)


# -- rights ----------------------------------------------------------------------------------------------------------


def test_who_may_only_look_changes_nothing(serve: Asking, file: Path) -> None:
    async def story(running: Supervised, ask: Client) -> None:
        api = Api(running.supervisor, Answers(running.supervisor, "a test"))
        for operation in OPERATIONS:
            body = json.dumps(BODIES.get((operation.method, operation.path), {}))
            came = await answer(api, OPERATIONS, Request(operation.method, PREFIX + operation.path, body=body))
            assert came.status == (403 if operation.changes else 200), operation
        assert {operation.path for operation in OPERATIONS if not operation.changes} == {
            "/status",
            "/config",
            "/history",
            "/explain",
            "/openapi.json",
        }
        assert (await ask("GET", "/status")).json()["running"]["generation"] == 1

    serve(file, story)


# -- the configuration -----------------------------------------------------------------------------------------------


def test_a_configuration_is_put_in_place_of_a_known_one(serve: Asking, file: Path) -> None:
    async def story(running: Supervised, ask: Client) -> None:
        seen = await ask("GET", "/config")
        tag = seen.headers["etag"]
        assert tag == f'"{seen.json()["digest"]}"'
        assert list(seen.json()["document"]["route"]) == ["one"]
        again = await ask("GET", "/config", headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)

        new = ONE.format(name="two")
        assert (await ask("PUT", "/config", content=new, headers=TOML)).status_code == 428
        stale = await ask("PUT", "/config", content=new, headers={**TOML, "If-Match": '"other", W/' + tag})
        assert (stale.status_code, stale.json()["reason"]) == (412, "config_changed")

        tried = await ask("PUT", "/config?dry_run=true", content=new, headers={**TOML, "If-Match": tag})
        assert (tried.status_code, tried.json()["number"], tried.headers["etag"]) == (200, 1, tag)
        changed = [(one["change"], one["object"]) for one in tried.json()["changes"]]
        assert sorted(changed) == [("added", ["route", "two"]), ("removed", ["route", "one"])]
        assert running.supervisor.number == 1

        put = await ask("PUT", "/config", content=new, headers={**TOML, "If-Match": tag})
        assert (put.status_code, put.json()["number"]) == (200, 2)
        assert put.json()["changes"] == tried.json()["changes"]
        assert put.headers["etag"] == (await ask("GET", "/config")).headers["etag"] != tag
        assert (await running.get())["generation"] == 2
        drift = (await ask("GET", "/status")).json()["running"]["drift"]
        assert drift == "another one was put into use, sent by the admin API"
        assert (await ask("GET", "/history")).json()["entries"][0]["reason"] == "sent by the admin API"

        reloaded = await ask("POST", "/reload")
        assert (reloaded.status_code, reloaded.headers["etag"]) == (200, tag)
        assert (await ask("GET", "/status")).json()["running"]["drift"] is None
        back = await ask("POST", "/rollback", json={"number": 2})
        assert (back.status_code, back.json()["number"]) == (200, 4)

    serve(file, story)


def test_of_two_who_change_the_same_one_is_told(serve: Asking, file: Path) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        tag = (await ask("GET", "/config")).headers["etag"]
        puts = [
            ask("PUT", "/config", content=ONE.format(name=name), headers={**TOML, "If-Match": tag})
            for name in ("two", "three", "four", "five")
        ]
        came = await asyncio.gather(*puts)
        assert sorted(one.status_code for one in came) == [200, 412, 412, 412]
        whatever = await ask("PUT", "/config", content=ONE.format(name="six"), headers={**TOML, "If-Match": "*"})
        assert whatever.status_code == 200

    serve(file, story)


def test_what_is_wrong_is_told_as_check_tells_it(serve: Asking, file: Path) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        wrong = ONE.format(name="one").replace("bind", "bnd")
        came = await ask("PUT", "/config", content=wrong, headers={**TOML, "If-Match": "*"})
        assert (came.status_code, came.headers["content-type"]) == (422, "application/problem+json")
        told = came.json()
        assert (told["title"], told["status"], told["reason"]) == ("Unprocessable Entity", 422, "config_refused")
        problem = next(one for one in told["problems"] if one["code"] == "P102")
        assert (problem["file"], problem["line"], problem["column"]) == ("the body", 2, 1)
        assert problem["hint"] == "did you mean `bind`?"
        assert (await ask("GET", "/config")).json()["number"] == 1

    serve(file, story)


def test_json_is_taken_too_and_nothing_else(serve: Asking, file: Path) -> None:
    document = {
        "listen": {"http": {"bind": "127.0.0.1:0"}},
        "route": {"two": {"match": "/two", "respond": {"status": 204}}},
    }

    async def story(_: Supervised, ask: Client) -> None:
        came = await ask("PUT", "/config", json=document, headers={"If-Match": "*"})
        assert came.status_code == 200
        came = await ask("PUT", "/config", content="a: b", headers={"If-Match": "*", "Content-Type": "text/yaml"})
        assert (came.status_code, came.json()["reason"]) == (415, "bad_content_type")

    serve(file, story)


def test_a_word_that_is_none_does_not_come_to_the_opposite(serve: Asking, file: Path) -> None:
    new = ONE.format(name="two")

    async def story(_: Supervised, ask: Client) -> None:
        for query in ("dry_run=1", "dry_run", "dryrun=true", "dry-run=true&x"):
            came = await ask(
                "PUT", f"/config?{query}", content=ONE.format(name="two"), headers={**TOML, "If-Match": "*"}
            )
            assert (came.status_code, came.json()["reason"]) == (400, "bad_query"), query
        for tags in ("", "abc", '"a" "b"', '"a'):
            came = await ask("PUT", "/config", content=new, headers={**TOML, "If-Match": tags})
            assert (came.status_code, came.json()["reason"]) == (400, "bad_tag"), tags
        assert (await ask("GET", "/config")).json()["number"] == 1

    serve(file, story)


SECRETS = """\
use = ["key"]
[policy.key]
type = "headers"
response = { set = { x-key = { env = "PYLOS_TEST_VALUE" } } }
[listen.ops]
bind = "127.0.0.1:0"
serve = ["admin"]
admin_token = { env = "PYLOS_TEST_TOKEN" }
"""


def test_no_secret_is_told(serve: Asking, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, token = secrets.token_hex(), secrets.token_hex()
    monkeypatch.setenv("PYLOS_TEST_VALUE", value)
    monkeypatch.setenv("PYLOS_TEST_TOKEN", token)
    text = ONE.format(name="one") + SECRETS
    file.write_text(text)

    async def story(_: Supervised, ask: Client) -> None:
        seen = await ask("GET", "/config")
        document = seen.json()["document"]
        assert document["listen"]["ops"]["admin_token"] == SHOWN
        assert document["policy"]["key"]["kind"]["response"]["set"] == {"x-key": SHOWN}
        monkeypatch.setenv("PYLOS_TEST_TOKEN", secrets.token_hex())
        new = text.replace("204", "205")
        put = await ask("PUT", "/config", content=new, headers={**TOML, "If-Match": seen.headers["etag"]})
        changed = {tuple(one["object"]): one["keys"] for one in put.json()["changes"]}
        assert changed["listen", "ops"] == [{"key": "admin_token", "before": "***", "after": "***"}]
        for one in (seen, put, await ask("GET", "/status"), await ask("GET", "/history")):
            assert value not in one.text
            assert token not in one.text

    serve(file, story)


# -- what it is told to do -------------------------------------------------------------------------------------------


def test_what_cannot_be_done(serve: Asking, table: Table) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        for path, body, status, reason in (
            ("/rollback", {}, 409, "refused"),
            ("/rollback", {"number": 0}, 400, "bad_body"),
            ("/rollback", {"nmber": 1}, 400, "bad_body"),
            ("/forget", {"policy": "none"}, 404, "refused"),
            ("/reopen", {}, 409, "refused"),
            ("/drain", {"deadline": "10"}, 400, "bad_body"),
            ("/explain", {"method": "GET"}, 400, "bad_body"),
            ("/explain", {"method": "GET", "url": "/", "given": {"a": "maybe"}}, 422, "refused"),
        ):
            came = await ask("POST", path, json=body)
            assert (came.status_code, came.json()["reason"]) == (status, reason), (path, body)

    serve(table("gone"), story)


def test_a_defect_is_an_answer(serve: Asking, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(running: Supervised, ask: Client) -> None:
        monkeypatch.setattr(running.supervisor, "history", None)
        came = await ask("GET", "/history")
        assert (came.status_code, came.json()["detail"]) == (500, "A defect of Pylos: AttributeError.")

    serve(table(), story)


# -- messages --------------------------------------------------------------------------------------------------------

LINE = b"POST /api/v1/forget HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET /api/v1/status HTTP/1.0\r\n\r\n", 200),
        (b"GET /api/v1/status HTTP/1.1\r\n\r\n", 400),
        (b"GET http://a/api/v1/status HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /api/v1/status HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        (b"GET  /api/v1/status HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (LINE + HOST + b"x y: 1\r\n\r\n", 400),
        (LINE + HOST + b"x: a\r\n b\r\n\r\n", 400),
        (LINE + HOST + b"x : a\r\n\r\n", 400),
        (LINE + HOST + b"x: a\x00\r\n\r\n", 400),
        (LINE + HOST + HOST + b"\r\n", 400),
        (LINE + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (LINE + HOST + b"Content-Length: +2\r\n\r\n{}", 400),
        (LINE + HOST + b"Content-Length: %d\r\n\r\n" % (MOST_BODY + 1), 413),
        (LINE + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (LINE + HOST + b"Content-Length: 2\r\n\r\n\xff\xfe", 400),
        (LINE + HOST + b"Content-Length: 2\r\n\r\n[]", 400),
        (LINE + HOST + b"x: " + b"a" * 20000 + b"\r\n\r\n", 431),
    ],
)
def test_only_what_is_understood_in_one_way(serve: Asking, table: Table, data: bytes, status: int) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        assert (await ask.raw(data)).startswith(b"HTTP/1.1 %d " % status)

    serve(table(), story)


def test_a_body_is_invited_and_a_head_has_none(serve: Asking, table: Table) -> None:
    async def story(_: Supervised, ask: Client) -> None:
        came = await ask.raw(LINE + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
        assert came.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        came = await ask.raw(b"HEAD /api/v1/history HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, body = came.partition(b"\r\n\r\n")
        assert (head.startswith(b"HTTP/1.1 200 OK\r\n"), body) == (True, b"")
        assert b"cache-control: no-store" in head
        assert b"connection: close" in head

    serve(table(), story)


def test_one_too_many_is_told_so(serve: Asking, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MOST_ASKERS", 0)

    async def story(_: Supervised, ask: Client) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(str(ask.path))  # and is not accepted before the loop goes on
            early.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\n\r\n")
            came = await asyncio.to_thread(early.recv, 65536)
        assert came.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"too many commands at once; try again" in came

    serve(table(), story)


def test_who_sends_half_a_request_is_left(serve: Asking, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "REQUEST_SECONDS", 0.1)

    async def story(_: Supervised, ask: Client) -> None:
        for data in (b"GET /api", LINE + HOST + b"Content-Length: 9\r\n\r\n{}"):
            assert await ask.raw(data) == b""
        monkeypatch.setattr(http1, "REQUEST_SECONDS", 30)
        assert (await ask("GET", "/status")).status_code == 200

    serve(table(), story)
