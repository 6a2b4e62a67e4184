"""What another configuration does to logged requests."""

import io
import json
import time
from collections.abc import Iterator

import pytest

from pylos.config import load_text
from pylos.config.meaning import Meaning
from pylos.config.traffic import compare, compare_lines
from pylos.errors import PylosError

BASE = """
[listen.http]
bind = "127.0.0.1:8080"
[upstream.web]
targets = ["10.0.0.1:8000"]
[upstream.api]
targets = ["10.0.0.2:8000"]
[route.site]
match = "shop.example.com/{rest:path}"
to = "web"
[route.old]
match = "/old/{rest:path}"
redirect = "https://shop.example.com/{rest}"
[route.health]
match = "/health"
respond = { text = "ok" }
"""


def document(text):
    return Meaning.of(load_text(text, "pylos.toml"))


def line(target, **more):
    """A line as the gateway writes it, as far as it matters here."""
    path, mark, query = target.partition("?")
    told = {
        "ts": 1.5,
        "client": "192.0.2.1",
        "listener": "http",
        "method": "GET",
        "host": "shop.example.com",
        "path": path,
        "query": query if mark else None,
        "status": 200,
        **more,
    }
    return json.dumps(told).encode() + b"\n"


def compared(after, *lines: bytes, before=BASE):
    return compare_lines(document(before), document(after), lines)


def groups(result):
    return [(group.count, group.before.label, group.after.label) for group in result.sorted()]


def test_nothing_moves():
    result = compared(BASE + "# a comment\n", line("/a"), line("/old/x", host="a"), line("/none", host="a"))
    assert (result.requests, result.moved, result.unreadable, groups(result)) == (3, 0, 0, [])


def test_another_route_and_upstream():
    after = BASE + '[route.cart]\nmatch = "shop.example.com/cart/{rest:path}"\nto = "api"\n'
    result = compared(after, line("/cart/1"), line("/"), line("/cart/2"))
    assert groups(result) == [(2, "route site to web", "route cart to api")]
    assert str(result.sorted()[0].example) == "GET shop.example.com/cart/1"


def test_another_path():
    result = compared(BASE.replace('to = "web"', 'to = "web"\nrewrite = "/v2/{rest}"'), line("/a?b=c"), line("/d"))
    (group,) = result.sorted()
    assert (group.count, group.before.detail, group.after.detail) == (2, "/a?b=c", "/v2/a?b=c")
    assert list(result.lines()) == [
        "traffic: 2 of 2 requests would be treated in another way",
        "       2  route site to web  ->  route site to web  (another path)",
        "          such as GET shop.example.com/a?b=c",
        "          /a?b=c  ->  /v2/a?b=c",
    ]


def test_refused_now_and_answered_now():
    after = BASE.replace('"shop.example.com/{rest', '"GET shop.example.com/{rest').replace('"/health"', '"/healthz"')
    result = compared(
        after,
        line("/cart", method="POST"),
        line("/health", host="a"),
        line("/healthz", host="a", status=404),
        line("/old/1", host="a"),
    )
    assert groups(result) == [
        (1, "no route, refused 404 no_route", "route health, answer 200"),
        (1, "route health, answer 200", "no route, refused 404 no_route"),
        (1, "route site to web", "no route, refused 405 method_not_allowed"),
    ]
    told = result.as_json()["groups"]
    assert [(one["now_refused"], one["now_answered"]) for one in told] == [(False, True), (True, False), (True, False)]
    assert "  (refused now)" in "\n".join(result.lines())


def test_a_redirect_elsewhere():
    result = compared(BASE.replace("shop.example.com/{rest}", "www.example.com/{rest}"), line("/old/a?b", host="x"))
    (group,) = result.sorted()
    assert (group.before.detail, group.after.detail) == (
        "https://shop.example.com/a?b",
        "https://www.example.com/a?b",
    )


def test_lines_that_cannot_be_read_are_counted():
    lines = [
        b"",
        b"\n",
        b"not json\n",
        b"[1]\n",
        b'{"method": "GET"}\n',
        line("/a", method=None),
        line("/a", path=7),
        line("/" + "a" * 10 + "\u2026(cut)"),
        line("/a", method="", path=""),
        b'{"method": "GET", "host": "\xff\xfe", "path": "/"}\n',
        line("/fine"),
    ]
    result = compared(BASE, *lines)
    assert (result.requests, result.unreadable) == (1, 8)
    assert "8 lines could not be read" in list(result.lines())


def test_who_asks_counts_where_a_table_looks_at_it():
    after = BASE + '[policy.inside]\ntype = "filter"\nallow_ip = ["10.0.0.0/8"]\n'
    after = after.replace('to = "web"', 'to = "web"\nuse = ["inside"]')
    result = compared(after, line("/a"), line("/a", client="10.1.1.1"), line("/a", client="192.0.2.7"))
    assert groups(result) == [(2, "route site to web", "route site, refused 403 ip_denied")]
    assert result.distinct == 3


def conditional(condition):
    policy = f"[policy.inside]\ntype = \"filter\"\nallow_methods = [\"PUT\"]\nif = '''{condition}'''\n"
    return BASE.replace('to = "web"', 'to = "web"\nuse = ["inside"]') + policy


@pytest.mark.parametrize(
    "condition, distinct",
    [
        ('client.ip.startsWith("10.")', 2),
        ('client.id == "10.1.1.1"', 2),
        ('client . ip == "10.1.1.1"', 2),
        ('request.path == "/client.ip"', 1),
    ],
)
def test_who_asks_counts_where_a_condition_asks_for_it(condition, distinct):
    result = compared(conditional(condition), line("/a"), line("/a", client="10.1.1.1"))

    assert result.distinct == distinct
    assert result.unseen == []


@pytest.mark.parametrize(
    "condition, unseen",
    [
        ('"x-beta" in request.headers', 1),
        ('request . headers["x-beta"] == "1"', 1),
        ('client.plan == "free"', 1),
        ('request.path == "/headers"', 0),
        ('request.path == "/client.plan"', 0),
    ],
)
def test_a_condition_on_what_a_log_does_not_tell_is_said(condition, unseen):
    result = compared(conditional(condition), line("/a"))

    assert [text.split(":")[0] for text in result.unseen] == ["`if` on fields or on who the client is"][:unseen]


def test_the_same_request_is_asked_once():
    result = compared(BASE, *[line("/a", client=f"10.0.0.{n}", status=n) for n in range(50)])
    assert (result.requests, result.distinct) == (50, 1)


def test_a_listener_that_is_gone_is_no_obstacle():
    result = compared(BASE.replace("[listen.http]", "[listen.web]"), line("/a"))
    assert (result.requests, result.moved) == (1, 0)


def test_what_a_log_does_not_tell_is_said():
    after = (
        BASE
        + '[route.beta]\nmatch = "shop.example.com/{rest:path}"\nto = "api"\nwhen = { header = { x-beta = true } }\n'
    )
    result = compared(after, line("/a"))
    assert [text.split(":")[0] for text in result.unseen] == ["`when` on header or cookie"]
    assert any(text.startswith("not considered: `when`") for text in result.lines())


def test_a_file(tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(line("/a") * 3)
    assert compare(document(BASE), document(BASE), log).requests == 3
    with pytest.raises(PylosError, match="cannot be read: No such file"):
        compare(document(BASE), document(BASE), tmp_path / "none.log")


def test_a_long_log_takes_seconds_and_no_memory(monkeypatch):
    """A hundred thousand lines, read one by one; more distinct requests than are remembered."""
    monkeypatch.setattr("pylos.config.traffic.MOST_CACHED", 100)

    def lines() -> Iterator[bytes]:
        for n in range(100_000):
            yield line(f"/a/{n % 1000 if n % 10 == 0 else 7}")

    started = time.monotonic()
    result = compare_lines(document(BASE), document(BASE), lines())
    assert result.requests == 100_000
    assert time.monotonic() - started < 30


def test_bytes_of_any_kind():
    result = compared(BASE, *io.BytesIO(bytes(range(256)) * 10))
    assert result.requests == 0
    assert result.unreadable > 0
