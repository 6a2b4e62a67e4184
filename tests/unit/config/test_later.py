"""What only later versions run: each is told once, at its key, and nothing that follows from it."""

import pytest

import pylos
from pylos.config import load_text
from pylos.errors import ConfigError
from pylos.model import later
from pylos.model.document import KINDS
from pylos.model.policy import POLICIES

WHOLE = """\
[pylos]
plugins = ["shop.policies"]  # here
state = "/var/lib/pylos"
secret = { file = "/run/secrets/pylos" }
use = ["edge"]
require = ["identity"]
[defaults.upstream]
health = { path = "/healthz" }
sticky = { cookie = "c" }  # here
[store.shared]  # here
url = "redis://127.0.0.1:6379/0"
[store.other]
url = "redis://127.0.0.1:6380/0"
[listen.https]
bind = "0.0.0.0:443"
protocols = ["h1", "h2"]  # here
tls = "shop"
[listen.http]
bind = "0.0.0.0:80"
redirect = "https"
[listen.db]
bind = "10.0.0.5:5432"
protocols = ["tcp"]  # here
to = "db"  # here
[acme.letsencrypt]
email = "ops@example.com"
[tls.shop]
acme = "letsencrypt"
domains = ["shop.example.com"]
[policy.compress]
type = "compression"  # here
algorithms = ["zstd"]
[policy.shield]
type = "filter"
deny_ip = { file = "blocked.txt" }  # here
on_error = "deny"  # here
[policy.edge]
type = "chain"
use = ["shield", "compress"]
[policy.jwt]
type = "jwt"  # here
[policy.identity]
type = "any_of"  # here
use = ["jwt", "nothing"]
[upstream.web]
targets = ["http://10.0.1.11:8000", { url = "http://10.0.1.12:8000", weight = 3 }]
balance = "least_requests"
sticky = { cookie = "web" }  # here
[upstream.orders]
discover = { dns = "orders.internal:8000", as = "http" }  # here
balance = { hash = "client.id", algorithm = "maglev" }
[upstream.soap]
targets = ["https://billing.internal:8443"]
[upstream.grpc]
targets = [{ url = "h2://10.0.5.1:50051" }]  # here
health = { grpc = "inventory.Stock", every = "2s" }  # here
[upstream.db]
targets = ["tcp://10.0.4.1:5432"]  # here
health = {}
[route.db]
match = "tls://db.example.com"  # here
to = "db"
[plan.gold]  # here
rate = "6000/min"
[consumer.acme]  # here
plan = "gold"
[route.site]
match = "shop.example.com/{rest:path}"
to = "web"
use = ["compress"]
without = ["identity"]
[route.assets]
match = "shop.example.com/static/{file:path}"
static = { root = "/srv/shop/static" }  # here
timeout = "3s"
[route.closed]
match = "shop.example.com/closed"
maintenance = true  # here
[api.orders]  # here
default = "v2"
[route.orders]
api = "orders"  # here
to = { orders = 95, web = 5 }  # here
rewrite = "/orders/{rest}"
timeout = "3s"
timeouts = { connect = "1s", total = "1h" }  # here
[test.no_identity]
request = "GET https://api.example.com/v2/orders/7"
given = { jwt = "deny" }
expect = { route = "orders", upstream = "orders", status = 401 }
"""


def told(text):
    with pytest.raises(ConfigError) as caught:
        load_text(text, "x.toml", environ={})
    return [(problem.place.line, problem.code) for problem in caught.value.problems]


def test_each_is_told_once_and_nothing_else():
    wanted = [number for number, line in enumerate(WHOLE.splitlines(), 1) if line.endswith("# here")]

    assert told(WHOLE) == [(number, "P110") for number in wanted]


def test_a_mistake_beside_it_is_told_too():
    line = WHOLE.splitlines().index('to = "web"') + 1

    assert (line, "P107") in told(WHOLE.replace('to = "web"', 'to = "wbe"'))


def test_it_says_what_it_is():
    with pytest.raises(ConfigError) as caught:
        load_text('[listen.a]\nbind = "127.0.0.1:0"\nprotocols = ["h2"]\n', "x.toml")

    (problem,) = caught.value.problems
    assert problem.message == "`h2` is not in this version of Pylos"
    assert problem.hint == "take it out: a later version will run it"
    assert (problem.place.line, problem.place.column, problem.place.length) == (3, 14, 4)


@pytest.mark.parametrize("kind", sorted(later.KINDS))
def test_a_kind(kind):
    assert told(f'[{kind}.a]\nx = 1\n[{kind}.b]\ny = 2\n[listen.a]\nbind = "127.0.0.1:0"') == [(1, "P110")]


@pytest.mark.parametrize("policy_type", sorted(later.POLICY_TYPES))
def test_a_type_of_policy_and_routes_that_use_it(policy_type):
    text = f"""\
[policy.p]
type = "{policy_type}"
x = 1
[policy.c]
type = "chain"
use = ["p"]
[route.a]
match = "/"
respond = {{}}
use = ["p", "c"]
[listen.a]
bind = "127.0.0.1:0"
"""
    assert told(text) == [(2, "P110")]


SOUND = {
    "pylos": "[pylos]\n",
    "listen": '[listen.b]\nbind = "127.0.0.1:1"\n',
    "tls": "[tls.b]\ncert = 'one.pem'\n",
    "upstream": '[upstream.b]\ntargets = ["localhost:1"]\n',
    "policy:filter": '[policy.b]\ntype = "filter"\n',
    "policy:headers": '[policy.b]\ntype = "headers"\n',
    "policy:rate_limit": '[policy.b]\ntype = "rate_limit"\nrate = "1/s"\n',
    "route": '[route.b]\nmatch = "/"\nto = "web"\n',
    "test": '[test.b]\nrequest = "GET /"\nexpect = { status = 404 }\n',
}


@pytest.mark.parametrize(
    "place, key", [(place, key) for place, keys in later.KEYS.items() for key in sorted(keys.names)], ids=str
)
def test_a_key(place, key):
    kind, *inner = place
    written = f"{key} = 1"
    for step in reversed(inner):
        written = f"[{{ url = 'localhost:2', {written} }}]" if step == "*" else f"{step} = {{ {written} }}"
    written = written.replace("= {", "= ").replace("] }", "]") if "*" in inner else written
    table = SOUND[kind].replace('targets = ["localhost:1"]\n', "") if "*" in inner else SOUND[kind]

    found = told(f'{table}{written}\n[listen.a]\nbind = "127.0.0.1:0"\n[upstream.web]\ntargets = ["localhost:3"]')

    assert [code for _, code in found] == ["P110"]


def test_nothing_is_both_of_this_version_and_of_later_ones():
    assert later.KINDS.isdisjoint(KINDS)
    assert later.POLICY_TYPES.isdisjoint(POLICIES)
    for place, keys in later.KEYS.items():
        kind = place[0]
        models = [POLICIES[kind.partition(":")[2]]] if ":" in kind else KINDS[kind]
        if len(place) == 1:
            assert keys.names.isdisjoint(name for model in models for name in model.model_fields)


def test_the_twin_tells_it_at_the_call():
    with pytest.raises(ConfigError) as caught:
        pylos.Config(
            listen={"a": pylos.Listen(bind="127.0.0.1:0", to="db")},
            plan={"gold": {"rate": "6000/min"}},
        )

    assert [problem.code for problem in caught.value.problems] == ["P110", "P110"]
    assert {problem.place.file for problem in caught.value.problems} == {__file__}
