"""Policies in Python in a configuration: what is found out about them, what is said where they cannot be used."""

from pathlib import Path

import pytest
from system.processes import is_running
from system.rig import until

from pylos.config import load
from pylos.config.explain import Asker
from pylos.errors import ConfigError

MODULE = """
from typing import Annotated
from pydantic import BaseModel, Field
from pylos import Allow, Deny, policy
import beside

class Settings(BaseModel, extra="forbid"):
    header: str
    share: Annotated[float, Field(ge=0, le=1)] = 1

@policy(phase="authorise")
def staff(request):
    return Deny(code="staff_only")

@policy(phase="identity", settings=Settings, body="2KiB", lane="slow")
async def tenant(request, settings):
    return Allow(claims={"tenant": request.headers.get(settings.header)})

def plain(request): ...
"""
FILE = """
[pylos]
use = ["staff"]
[listen.http]
bind = "127.0.0.1:0"
[upstream.a]
targets = ["http://127.0.0.1:1"]
[upstream.b]
targets = ["http://127.0.0.1:2"]
[policy.staff]
type = "python"
call = "mine:staff"
[policy.tenant]
type = "python"
call = "mine:tenant"
settings = { header = "x-tenant" }
[route.site]
match = "/{rest:path}"
to = "a"
use = ["tenant"]
[route.free]
match = "/free"
to = "a"
without = ["staff"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "beside.py").write_text("")
    return tmp_path


def written(folder: Path, text: str = FILE) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text)
    return file


def problems(folder: Path, text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return [(problem.code, problem.place.line, problem.message) for problem in caught.value.problems]


def test_its_decorator_says_when_it_acts(folder: Path):
    loaded = load(written(folder))

    kinds = {name: policy["kind"] for name, policy in loaded.table["policy"].items()}
    assert (kinds["staff"]["phase"], kinds["staff"]["lane"], kinds["staff"]["body_bytes"]) == ("authorise", "", None)
    assert (kinds["tenant"]["phase"], kinds["tenant"]["lane"], kinds["tenant"]["body_bytes"]) == (
        "identity",
        "slow",
        2048,
    )
    row = next(row for row in loaded.routes() if row["route"] == "site")
    assert row["policies"] == ["tenant", "staff"], "in the order of their phases"
    assert loaded.asking == {"site": ["tenant", "staff"]}


def test_its_code_is_a_part_of_the_configuration(folder: Path):
    before = load(written(folder))
    assert {path.name for path in before.watch} == {"gateway.toml", "mine.py", "beside.py"}

    (folder / "beside.py").write_text("changed = True\n")
    assert load(written(folder)).document != before.document


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        ("mine:staff", "mine:stuff", 12, "mine has no stuff"),
        ("mine:staff", "nowhere:staff", 12, "there is no module nowhere"),
        ("mine:staff", "mine:plain", 12, "mine:plain is no policy"),
        ("mine:staff", "mine", 12, "no installed package has a policy 'mine'"),
        ('header = "x-tenant"', "haeder = 1", 16, "unknown key"),
        ('header = "x-tenant"', 'header = "x", share = 2', 16, "input should be less than or equal to 1"),
    ],
)
def test_what_cannot_be_used_is_told_at_its_place(folder: Path, old: str, new: str, line: int, message: str):
    assert ("P121", line, message) in problems(folder, FILE.replace(old, new))


def test_all_else_that_is_wrong_is_told_beside(folder: Path):
    text = FILE.replace("mine:staff", "mine:stuff").replace('to = "a"', 'to = "c"', 1).replace('"/free"', '"/{x}x"')

    assert [code for code, _, _ in problems(folder, text)] == ["P121", "P107", "P201"]


def test_a_module_that_raises_is_shown_with_its_traceback(folder: Path):
    (folder / "beside.py").write_text("raise RuntimeError('not today')\n")
    with pytest.raises(ConfigError) as caught:
        load(written(folder))

    (first, second) = caught.value.problems
    assert first.message == second.message == "mine cannot be imported"
    assert "RuntimeError: not today" in str(first)
    assert "beside.py" in str(first)


def test_a_module_that_ends_the_process_is_told(folder: Path):
    (folder / "beside.py").write_text("import os\nos._exit(3)\n")

    assert ("P121", 12, "the process that imports it ended with exit code 3") in problems(folder, FILE)


def test_explain_asks_nobody(folder: Path):
    asker = Asker.of(load(written(folder)))

    told = asker.ask("GET", "/x", given={"tenant": {"claims": {"a": 1}, "headers": {"x-a": "b"}, "upstream": "b"}})
    assert (told.upstream, told.sent and dict(told.sent.headers)["x-a"]) == ("b", "b")
    assert [(word.name, word.phase, word.type) for word in told.policies] == [
        ("tenant", "identity", "python"),
        ("staff", "authorise", "python"),
    ]
    assert told.policies[0].effect == "asks mine:tenant: given that it lets pass, changed"
    assert told.policies[1].effect == "asks mine:staff; here it lets pass"

    refused = asker.ask("GET", "/x", given={"staff": "deny"})
    assert (refused.status, getattr(refused.outcome, "reason", None)) == (403, "denied")
    failed = asker.ask("GET", "/x", given={"staff": "fail"})
    assert (failed.status, getattr(failed.outcome, "reason", None)) == (503, "policy_failed")


def test_an_open_policy_protects_nobody(folder: Path):
    text = FILE.replace('use = ["staff"]', 'use = ["staff"]\nrequire = ["staff"]', 1).replace(
        'call = "mine:staff"', 'call = "mine:staff"\non_error = "allow"'
    )

    assert {code for code, _, _ in problems(folder, text)} == {"P212"}


def test_an_environment_in_its_folder_is_not_its_own(folder: Path):
    installed = folder / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "foreign.py").write_text("")
    (folder / "beside.py").write_text(f"import sys\nsys.path.append({str(installed)!r})\nimport foreign\n")

    assert {file.name for file in load(written(folder)).watch} == {"gateway.toml", "mine.py", "beside.py"}


def test_the_package_that_a_policy_comes_from_is_watched_wherever_it_is(folder: Path):
    package = folder / "site-packages" / "bought"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text("from pylos import policy\nimport bought.more\n@policy\ndef one(request): ...")
    (package / "more.py").write_text("")
    (folder / "beside.py").write_text(f"import sys\nsys.path.append({str(package.parent)!r})\n")
    first = load(written(folder, FILE + '[policy.zoned]\ntype = "python"\ncall = "bought.rules:one"\n'))
    (package / "more.py").write_text("changed = True")
    second = load(written(folder, FILE + '[policy.zoned]\ntype = "python"\ncall = "bought.rules:one"\n'))

    assert {file.name for file in first.watch} > {"rules.py", "more.py"}
    codes = [loaded.table["policy"]["zoned"]["kind"]["code"] for loaded in (first, second)]
    assert codes[0] != codes[1]


def test_what_a_module_starts_ends_with_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch):
    child = folder / "child"
    child.touch(mode=0o666)
    monkeypatch.setenv("CHILD", str(child))
    starts = "child = subprocess.Popen(['sleep', '600'])\nopen(os.environ['CHILD'], 'w').write(str(child.pid))\n"
    (folder / "beside.py").write_text("import os, subprocess\n" + starts)
    load(written(folder))

    until(lambda: not is_running(int(child.read_text())), 5)


SAME = """
[listen.http]
bind = "127.0.0.1:0"
[upstream.a]
targets = ["http://127.0.0.1:1"]
[policy.moves]
type = "python"
call = "mine:tenant"
settings = { header = "x" }
[policy.before]
type = "filter"
if = "request.path == '/old'"
deny_path = ["/nothing"]
[policy.marks]
type = "headers"
if = "request.path == '/new' && client.plan == 'gold'"
request = { set = { x-marked = "1" } }
[route.site]
match = "/{rest:path}"
to = "a"
use = ["before", "moves", "marks"]
"""


def test_what_comes_behind_a_policy_is_told_of_the_request_as_it_is_then(folder: Path):
    given = {"moves": {"path": "/new", "plan": "gold"}}
    told = Asker(load(written(folder, SAME)).table).ask("GET", "/old", given=given)

    assert {policy.name: policy.acts for policy in told.policies} == {"before": True, "moves": True, "marks": True}
    assert told.request.path == "/old"
    assert told.sent is not None
    assert dict(told.sent.headers)["x-marked"] == "1"


KEYED = """
[listen.http]
bind = "127.0.0.1:0"
[upstream.a]
targets = ["http://127.0.0.1:1"]
[policy.user]
type = "python"
call = "keys:user"
[policy.product]
type = "python"
call = "keys:product"
[policy.first]
type = "rate_limit"
rate = "1/s"
key = "policy.product"
[policy.second]
type = "rate_limit"
rate = "1/s"
key = ["client.id", "policy.user"]
[route.both]
match = "/both"
to = "a"
use = ["second", "first", "user"]
[route.first]
match = "/first"
to = "a"
use = ["first"]
[route.none]
match = "/none"
to = "a"
"""
GIVES = """
from pylos import Allow, Request, policy

@policy(phase="authorise")
def user(request: Request) -> Allow:
    return Allow(key=request.headers.get("x-user"))

@policy.key
async def product(request: Request) -> str | None:
    return request.path
"""


def test_a_limit_brings_along_what_gives_its_key(folder: Path):
    (folder / "keys.py").write_text(GIVES)
    loaded = load(written(folder, KEYED))

    assert {row["route"]: row["policies"] for row in loaded.routes()} == {
        "both": ["user", "product", "second", "first"],
        "first": ["product", "first"],
        "none": [],
    }
    assert loaded.asking == {"both": ["user", "product"], "first": ["product"]}
    assert loaded.table["policy"]["product"]["kind"]["phase"] == "limits"
    told = Asker.of(loaded).ask("GET", "/first", given={"product": "allow"})
    assert [(word.name, word.phase, word.acts) for word in told.policies] == [
        ("product", "limits", True),
        ("first", "limits", True),
    ]
    assert (
        told.policies[1].effect == "counts by what `product` gives, else client.id: 1/s, 1 at once; here it lets pass"
    )
    assert told.upstream == "a"
