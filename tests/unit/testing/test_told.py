"""`running.explain`: one line to ask, one comparison, and what pytest shows when it fails."""

from pathlib import Path

import pytest

from pylos import Expect, PylosError
from pylos.testing import GatewayUnderTest, Told
from pylos.testing.plugin import GatewayFactory
from pylos.testing.told import compared

TEXT = """
[pylos]
access_log = false
trusted_proxies = ["127.0.0.1"]
[listen.http]
bind = "0.0.0.0:8080"
[listen.inside]
bind = "0.0.0.0:8081"
use = ["mark"]
[upstream.web]
targets = ["http://web.internal:8000"]
[policy.office]
type = "filter"
allow_ip = ["192.0.2.0/24"]
[policy.mark]
type = "headers"
request = { set = { x-inside = "yes" } }
[route.orders]
match = "GET,POST shop.example.com/orders/{id}"
rewrite = "/{id}"
to = "web"
[route.admin]
match = "shop.example.com/admin/{rest:path}"
to = "web"
use = ["office"]
[route.old]
match = "shop.example.com/old"
redirect = "/orders/1"
"""


@pytest.fixture
def running(tmp_path: Path, gateway: GatewayFactory) -> GatewayUnderTest:
    file = tmp_path / "gateway.toml"
    file.write_text(TEXT)
    return gateway(file)


def test_what_is_told(running: GatewayUnderTest):
    told = running.explain("GET https://shop.example.com/orders/7?full=1")

    assert (told.route.name if told.route else None, told.upstream, told.path) == ("orders", "web", "/7")
    assert (told.status, told.reason) == (None, None)
    assert running.explain("PUT https://shop.example.com/orders/7").why_not("orders") == "takes only GET, POST"
    assert running.explain("GET", "https://shop.example.com/orders/7?full=1") == told


def test_a_refusal_and_its_policy(running: GatewayUnderTest):
    stranger = running.explain("GET https://shop.example.com/admin/", peer="203.0.113.7")
    colleague = running.explain("GET https://shop.example.com/admin/", headers={"x-forwarded-for": "192.0.2.1"})

    assert stranger == Expect(route="admin", status=403, reason="ip_denied")
    assert (stranger.status, stranger.reason) == (403, "ip_denied")
    assert stranger.policy("office").effect == "refuses it: 403 ip_denied"
    assert colleague == Expect(upstream="web")
    assert stranger != colleague
    assert len({stranger, colleague, stranger}) == 2


def test_a_port_of_the_file_means_its_listener(running: GatewayUnderTest):
    assert running.explain("GET http://shop.example.com:8081/orders/7").policy("mark").request == ["set x-inside: yes"]
    assert running.explain("GET http://shop.example.com:8080/orders/7").policies == []


@pytest.mark.parametrize(
    "request_, told",
    [
        ("GET /none", "<GET http://localhost/none: no route, refused, 404 no_route>"),
        ("GET http://shop.example.com/old", "<GET http://shop.example.com/old: route `old`, redirect 308>"),
        (
            "GET http://shop.example.com/orders/7",
            '<GET http://shop.example.com/orders/7: route `orders`, upstream `web`, path "/7">',
        ),
    ],
)
def test_repr(request_: str, told: str, running: GatewayUnderTest):
    assert repr(running.explain(request_)) == told


def test_what_pytest_shows(running: GatewayUnderTest):
    told = running.explain("PUT http://shop.example.com/orders/7")
    lines = compared("==", told, Expect(route="orders", upstream="web"))

    assert lines is not None
    assert lines[0].startswith("<PUT http://shop.example.com/orders/7: no route, refused, 405")
    assert lines[1] == 'route: expected "orders", got no route: a refusal, 405, reason `method_not_allowed`'
    assert any("takes only GET, POST" in line for line in lines)
    assert compared("==", Expect(route="orders"), told) is not None
    assert compared("!=", told, Expect(route="orders")) is None
    assert compared("==", told, "orders") is None


def test_what_is_not_there(running: GatewayUnderTest):
    with pytest.raises(PylosError, match=r"a request is a method and a URL, .*, not `/orders`"):
        running.explain("/orders")
    told: Told = running.explain("GET http://shop.example.com/admin/")
    with pytest.raises(PylosError, match="no policy `ofice` here, only `office`"):
        told.policy("ofice")
    with pytest.raises(PylosError, match="`admin` is none of the routes that come near, none"):
        told.why_not("admin")
