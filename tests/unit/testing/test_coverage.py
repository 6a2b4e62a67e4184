"""What counts as exercised: routes and policies, by clients of the kit, by other clients and by `explain`."""

from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from pylos import PylosError
from pylos.testing import GatewayUnderTest, RawClient, ScriptedUpstream
from pylos.testing.coverage import ACTIVE, Coverage
from pylos.testing.plugin import ClientFactory, GatewayFactory, UpstreamFactory

GATEWAY = """
[listen.public]
bind = "0.0.0.0:8080"
[upstream.web]
targets = ["http://web.internal:8000"]
[policy.office]
type = "filter"
allow_ip = ["192.0.2.0/24"]
[policy.beta]
type = "headers"
request = { set = { x-beta = "1" } }
if = "request.headers['x-user'] == 'tester'"
[policy.tidy]
type = "headers"
response = { remove = ["x-debug"] }
[policy.watch]
type = "filter"
allow_methods = ["POST"]
enforce = 0
[policy.both]
type = "chain"
use = ["office", "watch", "tidy"]
[route.site]
match = "/{rest:path}"
to = "web"
use = ["beta"]
[route.admin]
match = "/admin/{rest:path}"
to = "web"
strip = "/admin"
use = ["both"]
"""
ALL = ["admin", "site", "beta", "office", "tidy", "watch"]
TEXT = GATEWAY.replace("0.0.0.0:8080", "127.0.0.1:0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY)
    return path


@pytest.fixture
def coverage(file: Path) -> Iterator[Coverage]:
    made = Coverage.of(str(file))
    ACTIVE.append(made)
    yield made
    ACTIVE.remove(made)


@pytest.fixture
def running(coverage: Coverage, file: Path, gateway: GatewayFactory, upstream: UpstreamFactory) -> GatewayUnderTest:  # noqa: ARG001
    return gateway(file, upstreams={"web": upstream()}, trusted_proxies=["127.0.0.1"])


def left(coverage: Coverage) -> list[str]:
    return [*coverage.missing("route"), *coverage.missing("policy")]


def plainly(running: GatewayUnderTest, path: str = "/", headers: Mapping[str, str] | None = None) -> int:
    """Ask as a client does that is none of the kit's."""
    connection = HTTPConnection(running.address(), timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return connection.getresponse().status
    finally:
        connection.close()


def reload_to_another(running: GatewayUnderTest) -> None:
    plainly(running)
    running.reload_toml('[pylos]\naccess_log = false\n[listen.public]\nbind = "127.0.0.1:0"')
    assert plainly(running, "/admin/") == 404


def reload(running: GatewayUnderTest) -> None:
    running.reload()
    plainly(running)


def end(running: GatewayUnderTest) -> None:
    plainly(running)
    running.stop()


COLLEAGUE = {"x-forwarded-for": "192.0.2.1"}
TESTER = {"x-user": "tester"}
SITE = ["admin", "beta", "office", "tidy", "watch"]
"""What is left when a request took the route of the site."""


class Asking(NamedTuple):
    """What a test asks with."""

    running: GatewayUnderTest
    client: ClientFactory


@pytest.mark.parametrize(
    "ask, missing",
    [
        pytest.param(lambda _: None, ALL, id="nothing"),
        pytest.param(lambda it: it.client(it.running).get("/x"), SITE, id="an if that does not hold"),
        pytest.param(
            lambda it: it.client(it.running).get("/x", TESTER), ["admin", "office", "tidy", "watch"], id="holds"
        ),
        pytest.param(lambda it: it.client(it.running).get("/admin/"), ["site", "beta", "tidy", "watch"], id="refused"),
        pytest.param(
            lambda it: it.client(it.running, ip="192.0.2.1").get("/admin/"), ["site", "beta"], id="let through"
        ),
        pytest.param(lambda it: it.running.explain("GET /admin/", peer="192.0.2.1"), ["site", "beta"], id="explained"),
        pytest.param(lambda it: plainly(it.running), SITE, id="another client"),
        pytest.param(
            lambda it: plainly(it.running, "/admin/"),
            ["site", "beta", "tidy", "watch"],
            id="another client, refused",
        ),
        pytest.param(
            lambda it: plainly(it.running, "/admin/", COLLEAGUE),
            ["site", "beta"],
            id="another client, let through",
        ),
        pytest.param(lambda it: plainly(it.running, "/", TESTER), SITE, id="what a log does not tell"),
        pytest.param(lambda it: plainly(it.running, "/", {"host": "a b"}), ALL, id="no sound request"),
        pytest.param(lambda it: RawClient(it.running.address()).close(), ALL, id="no request"),
        pytest.param(lambda it: reload(it.running), SITE, id="after a reload"),
        pytest.param(lambda it: reload_to_another(it.running), SITE, id="before a reload to another"),
        pytest.param(lambda it: end(it.running), SITE, id="ended by the test"),
    ],
)
def test_what_counts(
    ask: Callable[[Asking], object],
    missing: list[str],
    running: GatewayUnderTest,
    client: ClientFactory,
    coverage: Coverage,
):
    ask(Asking(running, client))
    running.stop(drain=False)
    assert left(coverage) == missing


def test_another_configuration_counts_for_what_it_shares(
    coverage: Coverage, gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory
):
    text = TEXT.replace('"/{rest:path}"', '"/other/{rest:path}"')
    running = gateway(text, upstreams={"web": upstream()})
    client(running).get("/other/", TESTER)  # a route that is not that of the file, a policy that is
    plainly(running, "/admin/")
    running.stop(drain=False)

    assert left(coverage) == ["site", "tidy", "watch"]


def test_what_stands_behind_a_filter_that_may_have_refused(
    coverage: Coverage, gateway: GatewayFactory, upstream: UpstreamFactory
):
    """Of two with one reason the log does not tell which it was."""
    text = TEXT.replace('use = ["both"]', 'use = ["hidden", "both"]') + HIDDEN
    for asked, missing in [({"x-deny": "1"}, ALL), ({}, ALL)]:
        running = gateway(text, upstreams={"web": upstream()})
        assert plainly(running, "/admin/", asked) == 403
        running.stop(drain=False)
        assert left(coverage) == missing


HIDDEN = """
[policy.hidden]
type = "filter"
allow_ip = ["192.0.2.0/24"]
if = "'x-deny' in request.headers && request.headers['x-deny'] == '1'"
"""


def test_lines_of_a_log_that_are_none_of_ours(
    coverage: Coverage, gateway: GatewayFactory, upstream: UpstreamFactory, tmp_path: Path
):
    log = tmp_path / "own.log"
    running = gateway(f'[pylos]\naccess_log = {{ path = "{log}" }}\n{TEXT}', upstreams={"web": upstream()})
    with log.open("a") as more:
        more.write('1\n{}\n[]\n{"method": "GE\n')
    plainly(running)
    running.stop(drain=False)
    assert left(coverage) == SITE


def test_a_gateway_that_shares_nothing_is_left_alone(coverage: Coverage, gateway: GatewayFactory):
    running = gateway('[listen.http]\nbind = "127.0.0.1:0"\n[pylos]\naccess_log = false')
    assert running._ask({"type": "table"})["table"]["pylos"]["access_log"] is None
    assert left(coverage) == ALL


def test_an_access_log_of_the_tests_own_is_left_to_it(
    coverage: Coverage, gateway: GatewayFactory, upstream: UpstreamFactory, tmp_path: Path
):
    log = tmp_path / "own.log"
    log.write_text("what was there before\n")
    running = gateway(f'[pylos]\naccess_log = {{ path = "{log}" }}\n{TEXT}', upstreams={"web": upstream()})
    plainly(running)
    running.stop(drain=False)

    assert len(log.read_text().splitlines()) == 2
    assert left(coverage) == SITE


def test_a_reload_between_two_tables_with_one_log(
    coverage: Coverage, gateway: GatewayFactory, upstream: UpstreamFactory, tmp_path: Path
):
    """Lines behind the reload are not taken for lines of the table before."""
    log = tmp_path / "own.log"
    head = f'[pylos]\naccess_log = {{ path = "{log}" }}\n'
    web = {"web": upstream()}
    running = gateway(head + TEXT, upstreams=web)
    running.reload_toml(head + TEXT.replace('strip = "/admin"\n', ""))
    assert plainly(running, "/admin/") == 403
    assert plainly(running, "/") == 200
    running.stop(drain=False)

    assert left(coverage) == ["admin", "beta", "tidy", "watch"]


def test_a_reload_that_is_refused_changes_nothing(coverage: Coverage, running: GatewayUnderTest):
    with ScriptedUpstream() as other, pytest.raises(PylosError, match="in use"):
        running.reload_toml(f'{TEXT.replace("/admin", "/new")}\n[listen.taken]\nbind = "{other.address}"\n')
    plainly(running, "/admin/")
    running.stop(drain=False)
    assert left(coverage) == ["site", "beta", "tidy", "watch"]


def test_a_chain_is_nothing_of_its_own(coverage: Coverage):
    assert left(coverage) == ALL
    coverage.count("policy", ["both", "tidy", "unknown"])
    assert (coverage.missing("policy"), coverage.total, round(coverage.percent)) == (["beta", "office", "watch"], 6, 17)


def test_the_table(coverage: Coverage):
    coverage.count("route", ["site", "admin"])
    assert list(coverage.lines()) == [
        "           exercised    of",
        "routes             2     2  100.0 %",
        "policies           0     4    0.0 %   never: beta, office, tidy, watch",
        "all                2     6   33.3 %",
    ]


def test_nothing_to_cover(tmp_path: Path):
    file = tmp_path / "empty.toml"
    file.write_text('[listen.http]\nbind = "127.0.0.1:0"\n')
    with pytest.raises(PylosError, match="there is nothing to cover"):
        Coverage.of(str(file))
