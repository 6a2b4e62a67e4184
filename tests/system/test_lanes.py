"""Policies in Python behind a real gateway: what they see and do, and what becomes of requests when they fail."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.processes import is_running
from system.rig import until

import pylos
from pylos import Gateway
from pylos.errors import ConfigError
from pylos.testing import EchoUpstream, RawClient, Response

MODULE = """
import asyncio, ctypes, logging, os, sys, time
from types import SimpleNamespace
from pydantic import BaseModel
from pylos import Allow, Answer, Deny, Request, policy

class Settings(BaseModel, extra="forbid"):
    word: str

@policy
def passes(request: Request) -> None: ...

@policy
def tells(request: Request) -> Answer:
    seen = {
        "method": request.method, "scheme": request.scheme, "host": request.host, "path": request.path,
        "query": request.query, "route": request.route, "id": request.id, "ip": request.client.ip,
        "client": request.client.id, "claims": dict(request.client.claims), "lines": request.headers.lines(),
    }
    import json
    return Answer(203, json.dumps(seen), "application/json", {"x-told": ["a", "b"]})

@policy
async def changes(request: Request) -> Allow:
    await asyncio.sleep(0)
    headers = {"x-set": ["1", "2"], "x-gone": None, "x-forwarded-for": "9.9.9.9"}
    return Allow(headers=headers, path="/changed", query="by=me", upstream="other")

@policy(phase="identity")
def identifies(request: Request) -> Allow:
    return Allow(client="consumer:acme", plan="gold", claims={"role": request.headers.get("x-role", "guest")})

@policy(phase="authorise")
def staff(request: Request) -> Deny | None:
    if request.client.claims.get("role") != "staff":
        return Deny(402, "staff_only", "For staff.", {"x-why": "role"})

@policy(settings=Settings)
def says(request: Request, settings: Settings) -> Answer:
    return Answer(body=settings.word)

@policy.start
async def start(state: SimpleNamespace) -> None:
    state.started = os.getpid()

@policy.start
async def start_child(state: SimpleNamespace) -> None:
    # In a session of its own it would be the policy's own matter.
    state.child = await asyncio.create_subprocess_exec("sleep", "600")

@policy
def parents(request: Request) -> Answer:
    return Answer(body=f"{os.getpid()} {request.state.child.pid}")

@policy
def knows(request: Request) -> Answer:
    print("knows", request.path)
    logging.getLogger("mine").warning("it was asked")
    return Answer(body=f"{request.state.started} {os.getpid()} {os.getuid()} {os.nice(0)}")

@policy
def raises(request: Request) -> None:
    raise KeyError("a secret")

@policy
def word(request: Request) -> str:
    return "yes"

@policy
def sleeps(request: Request) -> None:
    time.sleep(0.3)

@policy
async def waits(request: Request) -> None:
    await asyncio.sleep(30)

@policy
def leaves(request: Request) -> None:
    sys.exit(3)

@policy
def dies(request: Request) -> None:
    ctypes.string_at(0)

@policy
def leaks(request: Request) -> None:
    kept = []
    while True:
        kept.append(bytearray(8 << 20))

@policy(lane="aside")
def spins(request: Request) -> None:
    while True:
        pass

@policy(blocking=True)
def blocks(request: Request) -> None:
    time.sleep(0.3)

@policy
def talks(request: Request) -> None:
    os.write(int(sys.argv[2]), b"x")

@policy(body="1KiB")
def reads(request: Request) -> Deny:
    return Deny(code="never")
"""
POLICIES = {
    "passes": "",
    "tells": "",
    "changes": "",
    "identifies": "",
    "staff": "",
    "says": 'settings = { word = "hello" }',
    "knows": "",
    "parents": "",
    "raises": "",
    "word": "",
    "sleeps": 'timeout = "50ms"',
    "waits": 'timeout = "50ms"',
    "leaves": "",
    "dies": "",
    "leaks": 'timeout = "5s"',
    "spins": 'timeout = "50ms"',
    "blocks": "",
    "talks": "",
    "reads": "enforce = 0",
}


def document(echo: EchoUpstream, other: EchoUpstream, more: str = "", lanes: str = "", workers: int = 2) -> str:
    policies = "".join(
        f'[policy.{name}]\ntype = "python"\ncall = "mine:{name}"\n{keys}\n' for name, keys in POLICIES.items()
    )
    routes = "".join(
        f'[route.{name}]\nmatch = "/{name}/{{rest:path}}"\nto = "app"\nuse = ["{name}"]\n' for name in POLICIES
    )
    return f"""
[pylos]
workers = {workers}
access_log = false
{lanes}
[listen.http]
bind = "127.0.0.1:0"
[listen.ops]
bind = "127.0.0.1:0"
serve = ["metrics", "health"]
[upstream.app]
targets = ["{echo.url}"]
health = false
[upstream.other]
targets = ["{other.url}"]
health = false
{policies}
{routes}
[route.known]
match = "/known/{{rest:path}}"
to = "app"
use = ["tells", "staff", "identifies"]
[route.plain]
match = "/{{rest:path}}"
to = "app"
[policy.open]
type = "python"
call = "mine:raises"
on_error = "allow"
[route.open]
match = "/open"
to = "app"
use = ["open"]
[policy.watched]
type = "python"
call = "mine:staff"
enforce = 0
[route.watched]
match = "/watched"
to = "app"
use = ["watched"]
[policy.sized]
type = "headers"
if = "client.claims.role == 'staff'"
request = {{ set = {{ x-known = "yes" }} }}
[route.sized]
match = "/sized"
to = "app"
use = ["identifies", "sized"]
{more}
"""


@pytest.fixture
def other() -> Iterator[EchoUpstream]:
    with EchoUpstream() as started:
        yield started


class Running:
    """A gateway with these policies, its log, and its file."""

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "gateway.toml"
        (folder / "mine.py").write_text(MODULE)
        self.file.write_text(text)
        self._log = folder / "log"
        with self._log.open("w") as log:
            self.gateway = Gateway(self.file, stderr=log)
            self.gateway.start()

    def get(self, path: str, *headers: tuple[str, str]) -> Response:
        with RawClient(self.gateway.address()) as client:
            return client.get(path, list(headers))

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def wait_for(self, name: str) -> dict[str, Any]:
        until(lambda: bool(self.events(name)))
        return self.events(name)[0]

    def metric(self, policy: str, result: str) -> int:
        with RawClient(self.gateway.address("ops")) as client:
            page = client.get("/metrics").text
        wanted = f'pylos_policy_asked_total{{policy="{policy}",result="{result}"}} '
        return next(int(line.removeprefix(wanted)) for line in page.splitlines() if line.startswith(wanted))


@pytest.fixture
def start(tmp_path: Path, echo: EchoUpstream, other: EchoUpstream) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(more: str = "", lanes: str = "", workers: int = 2) -> Running:
        running.append(Running(tmp_path, document(echo, other, more, lanes, workers)))
        return running[-1]

    yield begin
    for one in running:
        one.gateway.stop(drain=False)


def test_it_sees_what_the_upstream_would_get(start: Callable[..., Running]) -> None:
    target = "/tells/a/../http://x//y?b=2&a=1&b=3&flag&sig=%E9%FF&s=1&q=a%20b+c&e="
    answer = start().get(target, ("X-Tenant", "acme"), ("cookie", "a=1"), ("x-real-ip", "6.6.6.6"))

    assert (answer.status, answer.header("content-type")) == (203, "application/json")
    assert [value for name, value in answer.headers if name == "x-told"] == ["a", "b"]
    seen = answer.json()
    assert (seen["method"], seen["scheme"], seen["host"], seen["route"]) == ("GET", "http", "gateway.test", "tells")
    assert (seen["path"], seen["query"]) == ("/tells/http://x//y", "b=2&a=1&b=3&flag&sig=%E9%FF&s=1&q=a%20b+c&e=")
    assert (seen["ip"], seen["client"], seen["claims"]) == ("127.0.0.1", "ip:127.0.0.1", {})
    assert seen["id"] == answer.header("x-request-id")
    assert ["X-Tenant", "acme"] in seen["lines"]
    assert "x-real-ip" not in dict(seen["lines"]), "no proxy that is trusted has said so"


def test_what_it_changes_the_upstream_gets(start: Callable[..., Running], other: EchoUpstream) -> None:
    answer = start().get("/changes/x?q=1", ("x-gone", "1"), ("X_Gone", "1"), ("x-set", "0"), ("x-kept", "1"))

    assert answer.status == 200
    (seen,) = other.requests
    assert seen.target == "/changed?by=me"
    fields = [(name.lower(), value) for name, value in seen.headers]
    assert [value for name, value in fields if name == "x-set"] == ["1", "2"]
    assert [value for name, value in fields if name == "x-forwarded-for"] == ["9.9.9.9"]
    assert {"x-gone", "x_gone"}.isdisjoint(dict(fields))
    assert ("x-kept", "1") in fields


def test_bodies_pass_untouched(start: Callable[..., Running], echo: EchoUpstream) -> None:
    body = bytes(range(256)) * 4096
    with RawClient(start().gateway.address()) as client:
        for _ in range(2):
            assert client.request("POST", "/passes/x", [], body).status == 200
    assert [request.body for request in echo.requests] == [body, body]


def test_identity_comes_before_authorisation_whatever_the_order(start: Callable[..., Running]) -> None:
    running = start()
    refused = running.get("/known/x")
    assert (refused.status, refused.header("pylos-reason"), refused.header("x-why")) == (402, "staff_only", "role")
    assert refused.json()["detail"] == "For staff."

    seen = running.get("/known/x", ("x-role", "staff")).json()
    assert (seen["client"], seen["claims"]) == ("consumer:acme", {"role": "staff"})


def test_who_the_client_is_decides_about_other_policies(start: Callable[..., Running], echo: EchoUpstream) -> None:
    running = start()
    running.get("/sized")
    running.get("/sized", ("x-role", "staff"))

    assert ["x-known" in dict(request.headers) for request in echo.requests] == [False, True]


def test_settings_state_and_rights(start: Callable[..., Running]) -> None:
    running = start()
    assert running.get("/says/x").text == "hello"

    started, pid, user, niceness = map(int, running.get("/knows/x").text.split())
    assert (started, niceness) == (pid, 5)
    assert user == os.getuid() or user != 0
    told = running.wait_for("policy_print")
    assert (told["message"], told["policy"]) == ("knows /knows/x", "knows")
    told = running.wait_for("policy_log")
    assert (told["message"], told["logger"], told["level"]) == ("it was asked", "mine", "warn")
    assert len(told["request_id"]) == 32


def test_one_that_is_not_enforced_is_asked_and_not_obeyed(start: Callable[..., Running]) -> None:
    running = start()
    assert running.get("/watched").status == 200
    assert running.metric("watched", "deny") == 1


@pytest.mark.parametrize(
    "name, reason, event",
    [
        ("raises", "policy_failed", "policy_failed"),
        ("word", "policy_failed", "policy_failed"),
        ("leaves", "policy_failed", "policy_failed"),
        ("sleeps", "policy_timeout", "policy_timeout"),
        ("waits", "policy_timeout", "policy_timeout"),
        ("dies", "policy_lost", "lane_lost"),
        ("leaks", "policy_lost", "lane_out_of_memory"),
        ("spins", "policy_timeout", "policy_timeout"),
    ],
)
def test_whatever_it_does_its_requests_are_answered_in_time(
    start: Callable[..., Running], name: str, reason: str, event: str
) -> None:
    running = start(lanes='lane_memory = "192MiB"')
    running.get("/passes/x")
    with RawClient(running.gateway.address()) as client:
        before = time.monotonic()
        answer = client.get(f"/{name}/x")
        took = time.monotonic() - before
        assert (answer.status, answer.header("pylos-reason")) == (503, reason)
        assert took < (5 if name in ("dies", "leaks", "leaves") else 0.05 + 0.2)
        assert client.get("/plain").status == 200, "the connection lives, and other routes do not notice"
    told = running.wait_for(event)
    assert told.get("policy", name) == name
    assert "a secret" not in json.dumps(running.events("policy_timeout"))
    # Whatever it was, the lane is there again.
    until(lambda: running.get("/passes/x").status == 200)


def test_on_error_allow_lets_pass(start: Callable[..., Running]) -> None:
    running = start()
    assert running.get("/open").status == 200
    assert running.metric("open", "failed") == 1


def test_one_that_blocks_in_a_thread_delays_no_other(start: Callable[..., Running]) -> None:
    running = start()
    with RawClient(running.gateway.address()) as slow, RawClient(running.gateway.address()) as quick:
        slow.send(b"GET /blocks/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        time.sleep(0.05)
        before = time.monotonic()
        assert quick.get("/passes/x").status == 200
        assert time.monotonic() - before < 0.2
        assert slow.read_response().status == 200


def test_a_lane_that_is_stuck_is_replaced_and_the_others_serve_meanwhile(start: Callable[..., Running]) -> None:
    running = start()
    assert running.get("/spins/x").status == 503
    assert running.get("/passes/x").status == 200
    stuck = running.wait_for("lane_stuck")
    assert stuck["lane"] == "aside"
    started = running.wait_for("lane_started")
    assert (started["lane"], started["pid"] == stuck["pid"]) == ("aside", False)
    assert len(running.events("lane_lost")) == 1


def test_a_policy_that_fails_again_and_again_is_left_alone_for_a_while(start: Callable[..., Running]) -> None:
    running = start()
    with RawClient(running.gateway.address()) as client:
        reasons = [client.get("/waits/x").header("pylos-reason") for _ in range(8)]
    assert reasons == ["policy_timeout"] * 5 + ["policy_given_up"] * 3
    assert len(running.events("policy_given_up")) == 1
    assert len(running.events("policy_timeout")) == 1


def test_a_reload_brings_new_code_and_lets_the_old_finish(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start()
    old = int(running.get("/knows/x").text.split()[1])
    with RawClient(running.gateway.address()) as client:
        client.send(b"GET /blocks/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        time.sleep(0.05)
        (tmp_path / "mine.py").write_text(MODULE.replace("body=settings.word", "body=settings.word.upper()"))
        running.gateway.reload()
        assert running.get("/says/x").text == "HELLO"
        assert client.read_response().status == 200, "what was asked before is answered"
    assert int(running.get("/knows/x").text.split()[1]) != old
    until(lambda: not Path(f"/proc/{old}").exists())
    assert running.events("lane_lost") == []


def test_a_reload_with_code_that_cannot_be_used_changes_nothing(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start()
    (tmp_path / "mine.py").write_text("raise RuntimeError('not today')\n")
    with pytest.raises(ConfigError, match="not today"):
        running.gateway.reload()
    assert running.get("/says/x").text == "hello"


def test_a_hook_that_fails_keeps_a_configuration_from_being_used(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start()
    (tmp_path / "mine.py").write_text(MODULE.replace("state.started = os.getpid()", "state.nothing.here"))
    with pytest.raises(ConfigError, match=r"the hook mine\.start failed"):
        running.gateway.reload()
    assert running.get("/says/x").text == "hello"


def test_a_new_gateway_process_has_lanes_of_its_own(start: Callable[..., Running]) -> None:
    running = start()
    old = int(running.get("/knows/x").text.split()[1])
    os.kill(running.gateway.gateway_pid, signal.SIGKILL)
    running.wait_for("gateway_replaced")
    until(lambda: answered(running, "/knows/x"))
    until(lambda: not Path(f"/proc/{old}").exists())
    assert running.events("lane_lost") == []


def answered(running: Running, path: str) -> bool:
    try:
        return running.get(path).status == 200
    except (OSError, pylos.testing.IncompleteError):
        return False


def test_several_lanes_share_the_work(start: Callable[..., Running]) -> None:
    running = start(lanes="lanes = 3", workers=1)
    with RawClient(running.gateway.address()) as one, RawClient(running.gateway.address()) as another:
        # While one lane is busy, another answers.
        one.send(b"GET /sleeps/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        time.sleep(0.02)
        before = time.monotonic()
        assert another.get("/knows/x").status == 200
        assert time.monotonic() - before < 0.2


def test_nothing_is_left_behind(start: Callable[..., Running]) -> None:
    running = start(lanes="lanes = 2")
    pids = {int(running.get("/knows/x").text.split()[1]) for _ in range(4)}
    running.gateway.stop()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert running.events("lane_lost") == []


@pytest.mark.parametrize("how", ["it dies", "a reload", "the end"])
def test_what_a_policy_has_started_ends_with_its_lane(start: Callable[..., Running], tmp_path: Path, how: str) -> None:
    running = start()
    lane, child = map(int, running.get("/parents/x").text.split())
    assert is_running(child)
    match how:
        case "it dies":
            os.kill(lane, signal.SIGKILL)
        case "a reload":
            (tmp_path / "mine.py").write_text(MODULE + "# changed")
            running.gateway.reload()
        case _:
            running.gateway.stop()
    until(lambda: not is_running(lane) and not is_running(child))


def test_without_policies_in_python_there_is_no_lane(echo: EchoUpstream) -> None:
    with Gateway.from_toml(
        f'[listen.http]\nbind = "127.0.0.1:0"\n[upstream.a]\ntargets = ["{echo.url}"]\nhealth = false\n'
        '[route.a]\nmatch = "/"\nto = "a"\n'
    ) as gateway:
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    assert len(children) == 1


def test_one_that_raises_keeps_nobody_from_being_asked(start: Callable[..., Running]) -> None:
    """Else whoever knows how to make a policy fail could switch it off for all."""
    running = start()
    with RawClient(running.gateway.address()) as client:
        reasons = [client.get("/raises/x").header("pylos-reason") for _ in range(20)]
    assert reasons == ["policy_failed"] * 20
    assert running.events("policy_given_up") == []
    assert len(running.events("policy_failed")) < 5, "the same failure is told once a second"


def test_a_lane_that_says_something_where_it_has_nothing_to_say_is_replaced(start: Callable[..., Running]) -> None:
    running = start()
    running.get("/talks/x")
    running.wait_for("lane_started")
    until(lambda: running.get("/passes/x").status == 200)


@pytest.mark.parametrize(
    "said", ['{"type": "failed"}', '{"type": "ready?"}', "no JSON", '{"type": "failed", "faults": [1]}']
)
def test_a_lane_that_says_what_cannot_be_ends_a_reload_and_nothing_else(
    start: Callable[..., Running], tmp_path: Path, said: str
) -> None:
    running = start()
    hook = f"import os, sys; w = {said!r}.encode(); os.write(int(sys.argv[1]), len(w).to_bytes(4) + w)"
    (tmp_path / "mine.py").write_text(MODULE.replace("state.started = os.getpid()", hook))
    with pytest.raises(pylos.PylosError):
        running.gateway.reload()
    assert running.get("/says/x").text == "hello"


def test_a_lane_that_comes_late_serves(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start()
    broken = tmp_path / "broken"
    gate = f"assert not os.path.exists({str(broken)!r}); state.started = os.getpid()"
    (tmp_path / "mine.py").write_text(MODULE.replace("state.started = os.getpid()", gate))
    running.gateway.reload()
    broken.touch()
    os.kill(running.gateway.gateway_pid, signal.SIGKILL)
    running.wait_for("gateway_replaced")
    running.wait_for("lane_not_started")
    assert running.get("/plain").status == 200
    broken.unlink()
    until(lambda: answered(running, "/passes/x"), seconds=30)


def test_one_that_only_watches_refuses_no_body(start: Callable[..., Running], echo: EchoUpstream) -> None:
    running = start()
    with RawClient(running.gateway.address()) as client:
        assert client.request("POST", "/reads/x", [], b"x" * 5000).status == 200
        assert client.request("POST", "/reads/x", [], b"x" * 500).status == 200
    assert [len(request.body) for request in echo.requests] == [5000, 500]
    assert running.metric("reads", "deny") == 1


def test_a_lane_whose_supervisor_was_killed_does_not_live_on(start: Callable[..., Running]) -> None:
    running = start()
    pid = int(running.get("/knows/x").text.split()[1])
    os.kill(running.gateway.pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
