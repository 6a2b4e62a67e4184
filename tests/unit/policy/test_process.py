"""A lane's process: what it is told, what it says about policies that it cannot have, and how it ends."""

import json
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pylos._core import Caller
from pylos.policy.answer import Kind

MODULE = """
import asyncio
from pydantic import BaseModel
from pylos.policy import Answer, Deny, policy

class Limits(BaseModel, extra="forbid"):
    most: int
    word: str = "x"

@policy
def hello(request):
    return Answer(body="hello")

@policy(settings=Limits, phase="authorise", body="1KiB")
async def limited(request, limits):
    await asyncio.sleep(0.05)
    return Deny(400 + limits.most)

@policy
def fails(request):
    raise RuntimeError("not today")

def plain(request): ...
"""


class Running:
    """A lane's process, the socket of its supervisor and that of its gateway."""

    def __init__(self, folder: Path, program: Sequence[str]) -> None:
        self.control, first = socket.socketpair()
        self.line, second = socket.socketpair()
        fds = [first.fileno(), second.fileno()]
        command = [sys.executable, *program, *map(str, fds)]
        self.process = subprocess.Popen(command, pass_fds=fds, cwd=folder, stderr=subprocess.PIPE, text=True)
        first.close()
        second.close()

    def tell(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        body = json.dumps(message).encode()
        to = self.control if descriptors is None else self.line
        socket.send_fds(to, [len(body).to_bytes(4) + body], descriptors or [])

    def hear(self) -> dict[str, Any]:
        with self.control.makefile("rb", buffering=0) as stream:
            told: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(4))))
        return told

    def setup(self, *policies: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        wanted = [
            {"name": f"p{place}", "call": call, "settings": settings} for place, (call, settings) in enumerate(policies)
        ]
        self.tell({"type": "setup", "policies": wanted})
        return self.hear()

    def attach(self) -> Caller:
        caller = Caller()
        self.tell({"type": "attach"}, list(caller.descriptors()))
        return caller


def answer_of(caller: Caller, policy: int) -> tuple[Kind, bytes]:
    """Ask once and wait."""
    caller.ask(1, policy, "GET", "/", b"")
    caller.flush()
    while not (told := caller.answers()):
        assert select.select([caller.descriptors()[3]], [], [], 10)[0]
    ((_, kind, rest),) = told
    return Kind(kind), rest


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import sys\nsys.exit('no licence')\n")
    running: list[Running] = []

    def begin(*program: str) -> Running:
        running.append(Running(tmp_path, program or ("-m", "pylos.policy.process")))
        return running[-1]

    yield begin
    for one in running:
        one.line.close()
        one.control.close()
        one.process.kill()
        one.process.communicate()


def test_it_answers_each_worker_and_ends_with_the_line(start: Callable[..., Running]) -> None:
    lane = start()
    told = lane.setup(("mine:hello", {}), ("mine:limited", {"most": 2}), ("mine:fails", {}))
    plain = {"phase": "hooks", "body": None, "is_async": False, "blocking": False, "lane": None}
    assert told["policies"] == [
        {"name": "p0", **plain},
        {"name": "p1", **plain, "phase": "authorise", "body": 1024, "is_async": True},
        {"name": "p2", **plain},
    ]
    assert [Path(file).name for file in told["files"]] == ["mine.py"]
    for caller in (lane.attach(), lane.attach()):
        kind, rest = answer_of(caller, 0)
        assert (kind, rest[-5:]) == (Kind.ANSWER, b"hello")
        kind, rest = answer_of(caller, 1)
        assert (kind, json.loads(rest)["status"]) == (Kind.DENY, 402)
    assert answer_of(caller, 2) == (Kind.FAILED, b"")
    caller.ask(2, 1, "GET", "/", b"")  # under way when the line closes
    caller.flush()
    lane.line.shutdown(socket.SHUT_RDWR)
    _, said = lane.process.communicate(timeout=10)
    assert lane.process.returncode == 0
    event = json.loads(said)
    assert (event["event"], event["request_id"]) == ("policy_failed", "1")
    assert event["policy"] == "p2"
    assert event["message"].endswith("RuntimeError: not today")


@pytest.mark.parametrize(
    "call, settings, path, words",
    [
        ("mine", {}, ["call"], "no installed package has a policy 'mine'"),
        (":mine", {}, ["call"], "names no function"),
        ("nowhere:x", {}, ["call"], "there is no module nowhere"),
        ("mine:nothing", {}, ["call"], "mine has no nothing"),
        ("mine:plain", {}, ["call"], "mine:plain is no policy"),
        ("broken:x", {}, ["call"], "no licence"),
        ("mine:hello", {"most": 1}, ["settings"], "takes no settings"),
        ("mine:limited", {}, ["settings", "most"], "is missing"),
        ("mine:limited", {"most": 1, "mots": 2}, ["settings", "mots"], "unknown key"),
        ("mine:limited", {"most": "many"}, ["settings", "most"], "valid integer"),
    ],
)
def test_what_it_cannot_have_is_told_with_its_key(
    start: Callable[..., Running], call: str, settings: dict[str, Any], path: list[str], words: str
) -> None:
    lane = start()
    told = lane.setup(("mine:hello", {}), (call, settings))

    assert told["type"] == "failed"
    (fault,) = told["faults"]
    assert (fault["name"], fault["path"]) == ("p1", path)
    assert words in fault["message"]
    assert "pydantic" not in json.dumps(fault)
    assert lane.process.wait(timeout=10) == 1


def test_a_lane_that_dies_closes_its_line(start: Callable[..., Running]) -> None:
    lane = start()
    lane.setup(("mine:hello", {}))
    lane.process.send_signal(signal.SIGKILL)

    assert lane.line.recv(1) == b""


SPINS = """
from pylos import policy

@policy
def spins(request):
    while True:
        pass
"""


def test_a_supervisor_that_ends_with_an_answer_unread_has_ended(start: Callable[..., Running]) -> None:
    """To the other side of a stream that is a reset, and no message that cannot be understood."""
    lane = start()
    lane.setup(("mine:hello", {}))
    lane.tell({"type": "ping"})
    assert select.select([lane.control], [], [], 10)[0]
    lane.control.close()
    lane.line.close()
    _, told = lane.process.communicate(timeout=10)
    assert told == ""


def test_one_that_is_stuck_ends_even_if_nobody_is_there_to_see_to_it(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    (tmp_path / "spinning.py").write_text(SPINS)
    hurried = "import sys; sys.path.insert(0, '.'); from pylos.policy import process; process.ORPHANED = 0.5; "
    lane = start("-c", hurried + "sys.exit(process.main(*map(int, sys.argv[1:])))")
    lane.setup(("spinning:spins", {}))
    caller = lane.attach()
    caller.ask(1, 0, "GET", "/", b"")
    caller.flush()

    _, said = lane.process.communicate(timeout=20)
    assert lane.process.returncode == 1
    assert "spinning.py" in said, "and it tells where"
