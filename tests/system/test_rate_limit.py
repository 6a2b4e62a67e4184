"""Limits while requests pass: who shares a bucket with whom, what is told, and what a policy in Python may count by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from system.rig import Front

from pylos import Gateway
from pylos.errors import ConfigError
from pylos.testing import EchoUpstream, RawClient, Response, ScriptedUpstream, reply

TWO_WORKERS = "access_log = false\nworkers = 2"
TRUSTING = f'{TWO_WORKERS}\ntrusted_proxies = ["127.0.0.1"]'
USED = 'match = "/{rest:path}"\nuse = ["limit"]'
OPS = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]\n'
Fields = Sequence[tuple[str, str]]


def limit(keys: str = "", rate: str = '"5/min"') -> str:
    return f'[policy.limit]\ntype = "rate_limit"\nrate = {rate}\n{keys}\n'


def ask(gateway: Gateway, target: str = "/", fields: Fields = (), method: str = "GET") -> Response:
    """One request on a connection of its own, so that either worker may have it."""
    with RawClient(gateway.address()) as client:
        return client.request(method, target, list(fields))


def statuses(gateway: Gateway, requests: int, target: str = "/", fields: Fields = ()) -> list[int]:
    return [ask(gateway, target, fields).status for _ in range(requests)]


def forwarded(address: str) -> Fields:
    return [("x-forwarded-for", address)]


FIVE_OF_TEN = [200] * 5 + [429] * 5


# -- who shares a bucket ----------------------------------------------------------------------------------------------


def test_the_sixth_of_five_is_refused_whatever_a_stranger_says_about_itself(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit())
    found = [ask(gateway, fields=forwarded(f"198.51.100.{n}")).status for n in range(10)]
    assert found == FIVE_OF_TEN
    assert len(echo.requests) == 5


def test_behind_a_trusted_proxy_each_client_has_its_own(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TRUSTING, route=USED, more=limit())
    assert statuses(gateway, 10, fields=forwarded("198.51.100.1")) == FIVE_OF_TEN
    assert statuses(gateway, 10, fields=forwarded("9.9.9.9, 198.51.100.2")) == FIVE_OF_TEN, "counted from the right"
    assert statuses(gateway, 10, fields=forwarded("8.8.8.8, 198.51.100.2")) == [429] * 10


@pytest.mark.parametrize("key", ["client.id", "client.ip"])
def test_all_addresses_that_one_client_can_have_are_one(front: Front, echo: EchoUpstream, key: str):
    gateway = front(echo, pylos=TRUSTING, route=USED, more=limit(f'key = "{key}"'))
    found = [ask(gateway, fields=forwarded(f"2001:db8:0:7::{n:x}")).status for n in range(1, 11)]
    assert found == FIVE_OF_TEN, "one /64"
    assert ask(gateway, fields=forwarded("2001:db8:0:8::1")).status == 200, "another /64"
    assert statuses(gateway, 5, fields=forwarded("::ffff:198.51.100.7")) == [200] * 5
    assert ask(gateway, fields=forwarded("198.51.100.7")).status == 429, "the same address, written as IPv6"


def test_fifty_at_once_get_exactly_what_there_is(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(rate='"10/h"'))
    with ThreadPoolExecutor(50) as threads:
        found = list(threads.map(lambda _: ask(gateway).status, range(50)))
    assert (found.count(200), found.count(429)) == (10, 40)
    assert len(echo.requests) == 10


def test_all_routes_of_a_limit_share_it_and_others_do_not_notice(front: Front, echo: EchoUpstream):
    more = limit() + "".join(
        f'[route.{name}]\nmatch = "/{name}"\nrespond = {{ text = "{name}" }}\nuse = {use}\n'
        for name, use in {"a": '["limit"]', "b": '["limit"]', "free": "[]"}.items()
    )
    gateway = front(echo, pylos=TWO_WORKERS, more=more)
    assert statuses(gateway, 3, "/a") + statuses(gateway, 3, "/b") == [200] * 5 + [429]
    free = ask(gateway, "/free")
    assert (free.status, free.header("ratelimit"), free.header("ratelimit-policy")) == (200, None, None)


def test_a_key_of_several_parts(front: Front, echo: EchoUpstream):
    keys = 'key = ["request.headers.x-tenant", "request.path"]'
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(keys, '"1/h"'))

    def asked(tenant: str, path: str) -> int:
        return ask(gateway, path, [("X-Tenant", tenant)]).status

    assert [asked("a", "/x"), asked("a", "/y"), asked("b", "/x"), asked("a", "/x")] == [200, 200, 200, 429]
    assert ask(gateway, "/x").status == 200, "without the field"


# -- what a limit says ------------------------------------------------------------------------------------------------


def test_what_is_told_of_it(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(rate='"2/min"'))
    answers = [ask(gateway) for _ in range(3)]
    assert [one.header("ratelimit-policy") for one in answers] == ['"limit";q=2;w=60'] * 3
    left = [re.fullmatch(r'"limit";r=(\d+);t=(\d+)', one.header("ratelimit") or "") for one in answers]
    assert [match and match[1] for match in left] == ["1", "0", "0"]
    refused = answers[2]
    assert (refused.status, refused.header("pylos-reason")) == (429, "rate_limited")
    assert left[2] is not None
    assert refused.header("retry-after") == left[2][2]
    assert 1 <= int(left[2][2]) <= 30
    assert refused.json()["reason"] == "rate_limited"


def test_what_is_told_falls_and_never_says_to_come_back_at_once(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(rate='"2/h"'))
    assert statuses(gateway, 2) == [200, 200]
    waits = []
    for _ in range(3):
        refused = ask(gateway)
        waits.append(int(refused.header("retry-after") or 0))
        assert (refused.status, refused.header("ratelimit")) == (429, f'"limit";r=0;t={waits[-1]}')
        gateway.advance("8m")
    assert 1800 >= waits[0] > waits[1] + 400 > waits[2] + 800
    gateway.advance(f"{waits[2] - 480 - 60}s")
    refused = ask(gateway)
    assert 1 <= int(refused.header("retry-after") or 0) <= 60
    gateway.advance("59s")
    assert ask(gateway).header("retry-after") in (None, "1"), "there is one now, or in the next moment"


def test_requests_come_back_evenly(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(rate='"6/h"'))
    assert statuses(gateway, 7) == [200] * 6 + [429]
    gateway.advance("21m")
    assert statuses(gateway, 3) == [200, 200, 429], "one in ten minutes"
    gateway.advance("24h")
    assert statuses(gateway, 7) == [200] * 6 + [429], "and no more than a burst"


def test_a_burst_is_how_many_may_come_at_once(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit("burst = 2", '"100/h"'))
    assert statuses(gateway, 3) == [200, 200, 429]
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit(rate='"3/h"'))
    assert statuses(gateway, 4) == [200, 200, 200, 429], "by default as many as the rate says"


def test_several_rates_all_hold_and_are_told(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit("burst = 3", '["2/min", "4/h"]'))
    first = ask(gateway)
    assert first.header("ratelimit-policy") == '"limit/min";q=2;w=60, "limit/h";q=4;w=3600'
    assert first.header("ratelimit") == '"limit/min";r=2;t=30, "limit/h";r=3;t=900'
    found = [ask(gateway) for _ in range(5)]
    assert [one.status for one in found] == [200, 200, 429, 429, 429], "a burst of the first rate"
    left = found[-1].header("ratelimit") or ""
    assert re.fullmatch(r'"limit/min";r=0;t=\d+, "limit/h";r=1;t=\d+', left), "one refused, the other did not count"
    assert 1 <= int(found[-1].header("retry-after") or 0) <= 30, "when the one that refuses has another"


def test_what_the_upstream_says_of_limits_is_replaced(front: Front):
    own = [("RateLimit", '"theirs";r=9'), ("RateLimit-Policy", '"theirs";q=9'), ("RateLimit_Policy", "x"), ("X-A", "1")]
    with ScriptedUpstream(reply(headers=own)) as app:
        gateway = front(app, pylos=TWO_WORKERS, route=USED, more=limit())
        told = [(name, value) for name, value in ask(gateway).headers if "rate" in name.lower() or name == "X-A"]
        assert told == [("X-A", "1"), ("ratelimit-policy", '"limit";q=5;w=60'), ("ratelimit", '"limit";r=4;t=12')]
        gateway = front(app, pylos=TWO_WORKERS)
        assert [value for name, value in ask(gateway).headers if name == "RateLimit"] == ['"theirs";r=9']


def test_a_policy_has_the_last_word_about_the_fields(front: Front, echo: EchoUpstream):
    more = limit() + (
        '[policy.quiet]\ntype = "headers"\nresponse = { remove = ["RateLimit"], set = { ratelimit-policy = "mine" } }\n'
    )
    gateway = front(echo, pylos=TWO_WORKERS, route='match = "/{rest:path}"\nuse = ["quiet", "limit"]', more=more)
    for answer in [ask(gateway) for _ in range(6)]:
        assert answer.header("ratelimit") is None
        assert [value for name, value in answer.headers if name == "ratelimit-policy"] == ["mine"]


# -- when it acts -----------------------------------------------------------------------------------------------------


def test_a_policy_of_answers_has_its_own_word(echo: EchoUpstream, tmp_path: Path):
    (tmp_path / "answers.py").write_text(
        """
from pylos import Edit, Request, Response, policy

@policy.response
def hides(request: Request, response: Response) -> Edit:
    seen = response.headers.get("ratelimit", "none")
    return Edit(headers={"ratelimit": None, "RateLimit-Policy": "mine", "x-seen": seen})
"""
    )
    text = document(echo, limit() + '[policy.hides]\ntype = "python"\ncall = "answers:hides"\n')
    file = tmp_path / "gateway.toml"
    file.write_text(text.replace('use = ["limit"]', 'use = ["limit", "hides"]'))
    with Gateway(file) as gateway:
        answer, refused = [ask(gateway) for _ in range(6)][::5]
    told = {name.lower(): value for name, value in answer.headers if "rate" in name.lower() or name.lower() == "x-seen"}
    assert told == {"ratelimit-policy": "mine", "x-seen": "none"}, "it is asked before they are written"
    assert refused.status == 429
    assert refused.header("ratelimit-policy") == '"limit";q=5;w=60', "about refusals it is not asked"


def test_a_policy_of_answers_has_its_own_word_in_the_gateways_answers_too(tmp_path: Path):
    (tmp_path / "answers.py").write_text(
        """
from pylos import Edit, Request, Response, policy

@policy.response
def hides(request: Request, response: Response) -> Edit:
    return Edit(headers={"ratelimit": None})
"""
    )
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[listen.http]\nbind = "127.0.0.1:0"\n'
        + limit()
        + '[policy.hides]\ntype = "python"\ncall = "answers:hides"\n'
        + '[route.site]\nmatch = "/{rest:path}"\nrespond = { text = "x" }\nuse = ["limit", "hides"]\n'
    )
    with Gateway(file) as gateway:
        answer = ask(gateway)
    assert (answer.header("ratelimit"), answer.header("ratelimit-policy")) == (None, '"limit";q=5;w=60')


def test_not_enforced_it_counts_and_only_records(front: Front, echo: EchoUpstream, tmp_path: Path):
    log = tmp_path / "access.log"
    pylos = f'workers = 2\naccess_log = {{ path = "{log}" }}'
    gateway = front(echo, pylos=pylos, route=USED, more=limit("enforce = 0", '"2/h"') + OPS)
    answers = [ask(gateway) for _ in range(4)]
    assert [(one.status, one.header("ratelimit")) for one in answers] == [(200, None)] * 4
    with RawClient(gateway.address("ops")) as client:
        page = client.get("/metrics").text
    assert 'pylos_policy_would_total{policy="limit"} 2' in page
    gateway.stop()
    would = [json.loads(line).get("would") for line in log.read_text().splitlines()]
    assert [one for one in would if one] == [["limit:rate_limited"]] * 2


def test_it_acts_only_where_its_if_holds(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=TWO_WORKERS, route=USED, more=limit("if = \"request.method == 'POST'\"", '"1/h"'))
    found = [ask(gateway, method=method).status for method in ("GET", "GET", "POST", "POST", "GET")]
    assert found == [200, 200, 200, 429, 200]


def test_what_no_route_takes_is_limited_too_and_the_pages_of_the_gateway_are_not(front: Front, echo: EchoUpstream):
    pylos = f'{TWO_WORKERS}\nuse = ["limit"]'
    route = 'match = "POST /only"'
    gateway = front(echo, pylos=pylos, route=route, more=limit(rate='"3/h"') + OPS)
    asked = [("GET", "/only"), ("GET", "/none"), ("POST", "/only"), ("GET", "/none")]
    answers = [ask(gateway, target, method=method) for method, target in asked]
    assert [one.status for one in answers] == [405, 404, 200, 429]
    assert all(one.header("ratelimit") for one in answers)
    with RawClient(gateway.address("ops")) as client:
        assert [client.get("/livez").status for _ in range(4)] == [200] * 4
        page = client.get("/metrics").text
    assert 'pylos_rate_limit_total{policy="limit",result="admitted"} 3' in page
    assert 'pylos_rate_limit_total{policy="limit",result="limited"} 1' in page
    assert 'pylos_rate_limit_keys{policy="limit"} 1' in page


def test_it_comes_behind_filters(front: Front, echo: EchoUpstream):
    more = limit(rate='"1/h"') + '[policy.readers]\ntype = "filter"\nallow_methods = ["GET"]\n'
    gateway = front(echo, pylos=TWO_WORKERS, route='match = "/{rest:path}"\nuse = ["limit", "readers"]', more=more)
    assert [ask(gateway, method=method).status for method in ("PUT", "GET", "PUT", "GET")] == [405, 200, 405, 429]


# -- over a reload ----------------------------------------------------------------------------------------------------


def test_a_reload_keeps_what_was_taken(echo: EchoUpstream):
    with Gateway.from_toml(document(echo, limit(rate='"5/h"'))) as gateway:
        assert statuses(gateway, 4) == [200] * 4
        more = '[route.more]\nmatch = "/more"\nrespond = { text = "x" }\n'
        gateway.reload_toml(document(echo, limit(rate='"5/h"') + more))
        assert statuses(gateway, 2) == [200, 429]
        gateway.reload_toml(document(echo, limit(rate='"7/h"')))
        assert statuses(gateway, 3) == [200, 200, 429], "two more of seven"
        gateway.reload_toml(document(echo, limit('key = "client.ip"', '"7/h"')))
        assert statuses(gateway, 1) == [200], "by another key nothing is known"
        gateway.reload_toml(document(echo, limit(rate='"1/h"')))
        assert statuses(gateway, 2) == [200, 429]
        gateway.reload_toml(document(echo, limit("enforce = 100", rate='"1/h"')))
        assert statuses(gateway, 1) == [429]


def document(echo: EchoUpstream, more: str) -> str:
    return (
        f'[pylos]\n{TWO_WORKERS}\n[listen.http]\nbind = "127.0.0.1:0"\n[upstream.app]\ntargets = ["{echo.url}"]\n'
        f'health = false\n[route.all]\n{USED}\nto = "app"\n{more}'
    )


# -- keys from Python -------------------------------------------------------------------------------------------------

MODULE = """
import time
from pylos import Allow, Deny, Request, policy

asked = 0

@policy.key
def tenant(request: Request) -> str | None:
    global asked
    asked += 1
    word = request.headers.get("x-tenant")
    if word == "raise":
        raise ValueError(word)
    if word == "long":
        return "x" * 257
    if word == "deny":
        return Deny()
    return word

@policy.key(blocking=True)
def by_asked(request: Request) -> Allow:
    global asked
    asked += 1
    return Allow(key=str(asked), remember="1m", by=["request.headers.x-user"])

@policy(phase="identity")
def user(request: Request) -> Allow | None:
    name = request.headers.get("x-user")
    return Allow(client=f"consumer:{name}", key=name[0]) if name else None
"""
KEYED = """
[pylos]
access_log = false
workers = 2
lanes = 1
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["{url}"]
health = false
[policy.tenant]
type = "python"
call = "keys:tenant"
{tenant}
[policy.by_asked]
type = "python"
call = "keys:by_asked"
[policy.user]
type = "python"
call = "keys:user"
[policy.per_tenant]
type = "rate_limit"
rate = "2/h"
key = "policy.tenant"
[policy.per_question]
type = "rate_limit"
rate = "2/h"
key = "policy.by_asked"
[policy.per_initial]
type = "rate_limit"
rate = "2/h"
key = ["policy.user", "request.path"]
[route.tenants]
match = "/tenants/{{rest:path}}"
to = "app"
use = ["per_tenant"]
[route.named]
match = "/named/{{rest:path}}"
to = "app"
use = ["per_tenant", "user"]
[route.questions]
match = "/questions"
to = "app"
use = ["per_question"]
[route.initials]
match = "/initials/{{rest:path}}"
to = "app"
use = ["per_initial", "user"]
"""
Keyed = Callable[..., Gateway]


@pytest.fixture
def keyed(tmp_path: Path, echo: EchoUpstream) -> Iterator[Keyed]:
    started: list[Gateway] = []

    def start(old: str = "", new: str = "", tenant: str = "") -> Gateway:
        (tmp_path / "keys.py").write_text(MODULE)
        text = KEYED.format(url=echo.url, tenant=tenant)
        assert old in text
        (tmp_path / "gateway.toml").write_text(text.replace(old, new) if old else text)
        started.append(Gateway(tmp_path / "gateway.toml").start())
        return started[-1]

    yield start
    for gateway in started:
        gateway.stop()


def by_tenant(gateway: Gateway, *tenants: str | None, path: str = "/tenants/x") -> list[int]:
    return [ask(gateway, path, [("x-tenant", one)] if one else []).status for one in tenants]


def test_a_key_of_a_policy_counts_and_without_one_the_client_does(keyed: Keyed):
    gateway = keyed()
    assert by_tenant(gateway, "a", "b", "a", "b", "a", "b", "c") == [200, 200, 200, 200, 429, 429, 200]
    assert by_tenant(gateway, None, None, None) == [200, 200, 429]
    (row,) = [row for row in gateway.explain("GET", "/tenants/x").policies if row.name == "per_tenant"]
    assert row.effect == "counts by what `tenant` gives, else client.id: 2/h, 2 at once; here it lets pass"
    assert [one.name for one in gateway.explain("GET", "/tenants/x").policies] == ["tenant", "per_tenant"]


def test_a_request_knows_nothing_of_the_one_before_it_on_its_connection(keyed: Keyed):
    gateway = keyed()
    with RawClient(gateway.address()) as client:
        found = [client.get(path, [("x-tenant", "a")] if path != "/named/x" else []) for path in PATHS]
    assert [one.status for one in found] == [200, 200, 200, 429]
    left = [re.fullmatch(r'"per_tenant";r=(\d);t=\d+', one.header("ratelimit") or "") for one in found]
    assert [match and match[1] for match in left] == ["1", "1", "0", "0"], "and tells nothing of it"


PATHS = ["/tenants/x", "/named/x", "/tenants/y", "/tenants/z"]


@pytest.mark.parametrize("word", ["raise", "long", "deny"])
def test_a_policy_that_fails_to_give_a_key_decides_by_its_on_error(keyed: Keyed, word: str):
    closed = ask(keyed(), "/tenants/x", [("x-tenant", word)])
    assert (closed.status, closed.header("pylos-reason")) == (503, "policy_failed")
    opened = keyed(tenant='on_error = "allow"')
    assert by_tenant(opened, word, word, word, None) == [200, 200, 429, 429], "the client's id stands in"


def test_one_that_rests_gives_no_key(keyed: Keyed):
    gateway = keyed(tenant="if = \"request.method == 'POST'\"")
    assert by_tenant(gateway, "a", "b", "c") == [200, 200, 429]


def test_a_named_client_stands_in_for_a_key_by_its_name(keyed: Keyed):
    gateway = keyed()

    def named(user: str) -> int:
        return ask(gateway, "/named/x", [("x-user", user)]).status

    assert [named("ann"), named("ben"), named("ann"), named("ann"), named("ben")] == [200, 200, 200, 429, 200]


def test_a_key_is_remembered_as_any_decision(keyed: Keyed):
    gateway = keyed()

    def by(user: str) -> int:
        return ask(gateway, "/questions", [("x-user", user)]).status

    assert [by("a"), by("a"), by("a"), by("b"), by("b"), by("b")] == [200, 200, 429, 200, 200, 429]
    gateway.forget("by_asked")
    assert by("a") == 200, "asked again, it gives another key"


def test_any_policy_that_comes_before_may_give_a_key(keyed: Keyed):
    gateway = keyed()

    def by(user: str, path: str = "/initials/x") -> int:
        return ask(gateway, path, [("x-user", user)]).status

    assert [by("ann"), by("abe"), by("ada"), by("ben")] == [200, 200, 429, 200]
    assert by("ada", "/initials/y") == 200, "the path is a part of the key"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('use = ["per_initial", "user"]', 'use = ["per_initial"]', "`per_initial` counts by what `user` gives, and "),
        ('key = "policy.tenant"', 'key = "policy.tenants"', "there is no policy `tenants`"),
        ('key = "policy.tenant"', 'key = "policy.per_initial"', "`policy.per_initial` is not in Python"),
    ],
)
def test_a_key_that_cannot_be_had_is_a_mistake(keyed: Keyed, old: str, new: str, message: str):
    with pytest.raises(ConfigError) as caught:
        keyed(old, new)
    assert [problem.message.startswith(message) for problem in caught.value.problems] == [True], caught.value
