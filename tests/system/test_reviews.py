"""Policies in Python that are asked about answers: what they see, what they change, what comes in an answer's place."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pylos import Gateway
from pylos.testing import RawClient, Request, Response, ScriptedUpstream, reply

MODULE = """
import json, time
from pydantic import BaseModel
from pylos import Allow, Answer, Deny, Edit, Request, Response, policy

class Settings(BaseModel):
    word: str

@policy.response
def sees(request: Request, response: Response) -> Edit:
    seen = {"path": request.path, "status": response.status, "lines": response.headers.lines()}
    return Edit(headers={"x-seen": json.dumps(seen)})

@policy.response
async def edits(request: Request, response: Response) -> Edit | None:
    if request.path == "/plain":
        return None
    headers = {"x-gone": None, "set-cookie": ["a=1", "b=2"], "content-type": "text/x", "server": "shop",
               "location": "http://127.0.0.1:1/here", "x-word": "edited"}
    return Edit(status=418, headers=headers)

@policy.response(settings=Settings)
def says(request: Request, response: Response, settings: Settings) -> Edit:
    return Edit(headers={"x-word": f"{settings.word} after {response.headers.get('x-word')}"})

@policy.response
def denies(request: Request, response: Response) -> Deny | None:
    return Deny(502, "leak", "This answer is kept back.") if "x-leak" in response.headers else None

@policy.response
def raises(request: Request, response: Response) -> None:
    raise KeyError("no")

@policy.response
def wrong(request: Request, response: Response) -> Allow:
    return Allow()

@policy.response
def recovers(request: Request, response: Response) -> Edit:
    return Edit(status=200, headers={"etag": None})

@policy.response(lane="slow", blocking=True)
def sleeps(request: Request, response: Response) -> None:
    time.sleep(30)

@policy
def answers(request: Request) -> Answer:
    return Answer(201, "made", "text/plain")
"""
ROUTES = {
    "sees": ["sees"],
    "edits": ["edits"],
    "two": ["edits", "says"],
    "then": ["edits", "fields"],
    "denies": ["denies"],
    "raises": ["raises"],
    "lax": ["lax"],
    "wrong": ["wrong"],
    "recovers": ["recovers"],
    "sleeps": ["sleeps"],
    "watched": ["watched"],
    "some": ["some"],
    "answers": ["answers", "edits"],
}
OTHERS = """
[policy.says]
type = "python"
call = "reviews:says"
settings = { word = "said" }
[policy.lax]
type = "python"
call = "reviews:raises"
on_error = "allow"
[policy.sleeps]
type = "python"
call = "reviews:sleeps"
timeout = "100ms"
[policy.watched]
type = "python"
call = "reviews:edits"
enforce = 0
[policy.some]
type = "python"
call = "reviews:edits"
if = "request.headers['x-edit'] == '1'"
[policy.fields]
type = "headers"
response = { set = { x-word = "last" }, remove = ["server"] }
[route.redirect]
match = "/redirect"
redirect = "/elsewhere"
use = ["edits"]
[route.respond]
match = "/respond"
respond = { status = 204 }
use = ["recovers"]
"""
LINES = [("Server", "hidden/1"), ("X-Gone", "1"), ("Connection", "x-hop"), ("X-Hop", "1"), ("X-Word", "sent")]


def serve(request: Request) -> bytes:
    """Answer as the request's target says."""
    what = request.target.rpartition("/")[2]
    if what == "moved":
        return reply(status=302, headers=[("Location", "/there")])
    if what == "leak":
        return reply(b"secret" * 5000, headers=[("X-Leak", "1")])
    if what == "unchanged":
        return b'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: "a"\r\n\r\n'
    if what == "trailed":
        fields = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-word\r\n\r\n"
        return fields + b"2\r\nok\r\n0\r\nX-Word: late\r\nX-Else: 1\r\n\r\n"
    return reply(b"hello", headers=LINES)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(serve) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("reviews")
    (folder / "reviews.py").write_text(MODULE)
    usual = ("sees", "edits", "denies", "raises", "wrong", "recovers", "answers")
    policies = [f'[policy.{name}]\ntype = "python"\ncall = "reviews:{name}"' for name in usual]
    routes = [
        f'[route.{name}]\nmatch = "/{name}/{{rest:path}}"\nto = "app"\nuse = {json.dumps(use)}'
        for name, use in ROUTES.items()
    ]
    file = folder / "reviews.toml"
    head = f"""
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["http://{upstream.address}"]
health = false
"""
    file.write_text("\n".join([head, *policies, OTHERS, *routes]))
    with Gateway(file) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[RawClient]:
    with RawClient(gateway.address()) as client:
        yield client


def test_it_sees_what_the_client_would_get(client: RawClient) -> None:
    seen = json.loads(client.get("/sees/a").header("x-seen") or "")
    assert (seen["path"], seen["status"]) == ("/sees/a", 200)
    assert seen["lines"] == [["X-Gone", "1"], ["X-Word", "sent"]], "nothing of this hop, nor of the upstream"
    moved = client.get("/sees/moved")
    assert (moved.status, moved.header("location")) == (302, "/there")


def test_it_changes_status_and_fields(client: RawClient) -> None:
    for _ in range(2):  # the connection stays in step
        answer = client.get("/edits/a")
        assert (answer.status, answer.body) == (418, b"hello")
        assert answer.header("x-gone") is None
        assert answer.header_all("set-cookie") == ["a=1", "b=2"]
        assert answer.header_all("content-type") == ["text/x"]
        assert answer.header("location") == "http://127.0.0.1:1/here", "what a policy sets is not mapped"
        assert answer.header_all("server") == ["shop"]
        assert answer.header_all("x-word") == ["edited"]
        assert answer.header_all("content-length") == ["5"]
        assert len(answer.header_all("date")) == len(answer.header_all("x-request-id")) == 1


def test_the_next_one_sees_the_change_and_header_policies_have_the_last_word(client: RawClient) -> None:
    assert client.get("/two/a").header_all("x-word") == ["said after edited"]
    answer = client.get("/then/a")
    assert (answer.header_all("x-word"), answer.header("server"), answer.status) == (["last"], None, 418)


def test_a_trailer_does_not_bring_back_what_was_set(client: RawClient) -> None:
    answer = client.get("/edits/trailed")
    assert (answer.body, answer.header_all("x-word")) == (b"ok", ["edited"])
    assert answer.trailers == [("X-Else", "1")]


def test_a_refusal_comes_in_the_answers_place(client: RawClient) -> None:
    for _ in range(2):
        answer = client.get("/denies/leak")
        assert (answer.status, answer.header("pylos-reason")) == (502, "leak")
        assert answer.json()["detail"] == "This answer is kept back."
        assert answer.header("x-leak") is None
        assert client.get("/denies/a").body == b"hello"
    posted = client.request("POST", "/denies/leak", [], b"x" * 100_000)
    assert (posted.status, posted.header("pylos-reason")) == (502, "leak")


@pytest.mark.parametrize("name", ["raises", "wrong"])
def test_without_a_verdict_the_answer_is_kept_back(client: RawClient, name: str) -> None:
    answer = client.get(f"/{name}/a")
    assert (answer.status, answer.header("pylos-reason")) == (503, "policy_failed")
    assert answer.header("retry-after") is None, "the upstream has done it: nobody is invited to send it again"


def test_it_passes_where_on_error_allows(client: RawClient) -> None:
    answer = client.get("/lax/a")
    assert (answer.status, answer.body, answer.header("x-word")) == (200, b"hello", "sent")


def test_a_slow_one_is_waited_for_no_longer_than_its_time(client: RawClient) -> None:
    answer = client.get("/sleeps/a")
    assert (answer.status, answer.header("pylos-reason")) == (503, "policy_timeout")


def test_where_it_is_not_enforced_or_its_condition_does_not_hold_nothing_changes(client: RawClient) -> None:
    assert client.get("/watched/a").status == 200
    assert client.get("/some/a").status == 200
    assert client.get("/some/a", [("x-edit", "1")]).status == 418


def test_an_answer_without_a_body_stays_framed(client: RawClient) -> None:
    made: Response = client.get("/recovers/unchanged")
    assert (made.status, made.body, made.header("etag"), made.header("content-length")) == (200, b"", None, "0")
    head = client.request("HEAD", "/edits/a")
    assert (head.status, head.header("content-length")) == (418, "5")
    assert client.get("/edits/unchanged").header_all("content-length") == ["0"]
    assert client.get("/respond").header("content-length") == "0"


def test_own_answers_are_seen_too(client: RawClient) -> None:
    redirect = client.get("/redirect")
    assert (redirect.status, redirect.header_all("location")) == (418, ["http://127.0.0.1:1/here"])
    made = client.get("/answers/a")
    assert (made.status, made.body, made.header_all("content-type")) == (418, b"made", ["text/x"])
    assert client.get("/none").status == 404, "a refusal is nobody's to change"
