"""A file of production in a test: free ports, stand-ins, nothing that leaves the machine."""

from pathlib import Path

import pytest

from pylos import Config, PylosError
from pylos.testing import GatewayUnderTest, RawClient, ScriptedUpstream, reply
from pylos.testing.fitted import is_here, urls_of
from pylos.testing.plugin import ClientFactory, GatewayFactory, UpstreamFactory

PRODUCTION = """
[pylos]
access_log = { path = "/var/log/pylos/access.log" }
trusted_proxies = ["10.0.0.0/8"]
state = "/var/lib/no-test/pylos"
secret = { file = "/run/secrets/no-test" }
user = "no-such-user"

[listen.public]
bind = ["0.0.0.0:80", "[::]:80"]
[listen.inside]
bind = "10.0.0.7:8080"
[listen.local]
bind = "unix:/run/pylos/local.sock"
[listen.ops]
bind = "0.0.0.0:9090"
serve = ["health"]

[upstream.web]
targets = ["http://web-1.internal:8000", "http://web-2.internal:8000"]
health = { path = "/healthz" }
[upstream.mail]
targets = ["http://192.0.2.9:8000"]

[policy.office]
type = "filter"
allow_ip = ["198.51.100.0/24"]
[policy.key]
type = "headers"
request.set = { x-key = "${KEY:-none}" }

[route.site]
match = "shop.example.com/{rest:path}"
to = "web"
use = ["key"]
[route.mail]
match = "mail.example.com/{rest:path}"
to = "mail"
[route.admin]
match = "shop.example.com/admin/{rest:path}"
to = "web"
use = ["office"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(PRODUCTION)
    return path


def test_a_file_of_production_is_served_on_free_ports(
    file: Path, gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory
):
    web = upstream(reply("from the fake"))
    running = gateway(file, upstreams={"web": web})

    assert client(running).get("http://shop.example.com/basket").text == "from the fake"
    assert [address.startswith("127.0.0.1:") for address in running.addresses("public")] == [True, True]
    assert running.address("inside").startswith("127.0.0.1:")
    with RawClient(running.address("local")) as local:
        assert local.request(host="shop.example.com").status == 200
    assert client(running, "ops").get("/livez").status == 200
    assert [request.target for request in web.requests] == ["/basket", "/"], "and no health check"
    assert file.read_text() == PRODUCTION


def test_the_temporary_files_are_gone_with_the_gateway(file: Path):
    with GatewayUnderTest(file) as running:
        sock = Path(running.address("local").removeprefix("unix:"))
        assert sock.exists()
    del running
    assert not sock.parent.exists()


def test_what_has_no_stand_in_is_out_of_reach(file: Path, gateway: GatewayFactory, client: ClientFactory):
    answer = client(gateway(file)).get("http://mail.example.com/")

    assert answer.status == 502
    assert answer.header("pylos-reason") is not None


def test_several_stand_ins_and_an_address(file: Path, upstream: UpstreamFactory, gateway: GatewayFactory):
    one, two = upstream(), upstream()
    running = gateway(file, upstreams={"web": [one, two.address]})

    assert [target["target"] for target in running.status()["upstreams"]["web"]] == [one.url, two.url]


def test_a_stand_in_for_nothing(file: Path, gateway: GatewayFactory):
    with pytest.raises(PylosError, match="no upstream `wbe` to put a stand-in for; there are: `mail`, `web`"):
        gateway(file, upstreams={"wbe": "127.0.0.1:1"})


def test_variables_of_the_test(file: Path, gateway: GatewayFactory, client: ClientFactory, upstream: UpstreamFactory):
    web = upstream()
    client(gateway(file, upstreams={"web": web}, environ={"KEY": "k"})).get("http://shop.example.com/")

    assert web.requests[0].header("x-key") == "k"


def test_text_and_config_take_stand_ins_too(gateway: GatewayFactory, client: ClientFactory, upstream: UpstreamFactory):
    web = upstream(reply("fake"))
    tables = {
        "listen": {"http": {"bind": "127.0.0.1:0"}},
        "upstream": {"web": {"targets": ["http://web.internal"]}},
        "route": {"all": {"match": "/{rest:path}", "to": "web"}},
    }
    text = """
        [listen.http]
        bind = "127.0.0.1:0"
        [upstream.web]
        targets = ["http://web.internal"]
        [route.all]
        match = "/{rest:path}"
        to = "web"
    """
    for config in (Config(pylos={"access_log": False}, **tables), text):
        assert client(gateway(config, upstreams={"web": web})).get().text == "fake"


def test_a_reload_reads_the_file_again_and_keeps_the_stand_ins(
    file: Path, gateway: GatewayFactory, client: ClientFactory, upstream: UpstreamFactory
):
    running = gateway(file, upstreams={"web": upstream(reply("fake"))})
    address = running.address()
    file.write_text(PRODUCTION.replace("shop.example.com/{rest", "new.example.com/{rest"))
    running.reload()

    assert running.address() == address
    assert client(running).get("http://new.example.com/").text == "fake"


def test_a_file_that_fits_is_watched(tmp_path: Path, gateway: GatewayFactory):
    file = tmp_path / "fits.toml"
    file.write_text('[pylos]\naccess_log = false\n[listen.http]\nbind = "127.0.0.1:0"\n')

    assert gateway(file)._source == {"path": str(file)}


@pytest.mark.parametrize(
    "address, here",
    [
        ("http://127.0.0.1:80", True),
        ("http://[::1]:80", True),
        ("http://localhost:80", True),
        ("unix:/run/app.sock", True),
        ("127.8.8.8:0", True),
        ("http://10.0.0.1:80", False),
        ("http://localhost.example.com:80", False),
        ("0.0.0.0:80", False),
    ],
)
def test_what_is_on_this_machine(address: str, *, here: bool):
    assert is_here(address) is here


def test_urls_of_stand_ins():
    with ScriptedUpstream() as fake:
        assert urls_of(["h:1", fake, "unix:/x", "http://a:2"]) == ["http://h:1", fake.url, "unix:/x", "http://a:2"]
        assert urls_of(fake) == [fake.url]
