"""Who is the client? Only trusted proxies are believed, counted from the right; nobody else writes these fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from system.rig import Front

from pylos.testing import RawClient
from pylos.testing.echo import EchoUpstream

PROXY = "127.0.0.2"
"""A source address of this machine that stands for a proxy of ours."""
TRUSTED = f'["10.0.0.0/8", "::1", "{PROXY}"]'
BELIEVED = {
    "from the right": (["6.6.6.6, 1.1.1.1, 10.0.0.3"], "1.1.1.1"),
    "two lines": (["6.6.6.6", "1.1.1.1, 10.0.0.3"], "1.1.1.1"),
    "two lines, each one": (["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
    "port": (["1.1.1.1:4711"], "1.1.1.1"),
    "IPv6 with port": (["[2001:db8::1]:443"], "2001:db8::1"),
    "IPv6": (["2001:db8::1"], "2001:db8::1"),
    "all trusted": (["10.0.0.9, 10.0.0.3"], "10.0.0.9"),
    "junk": (["junk, 10.0.0.3"], "10.0.0.3"),
    "junk alone": (["junk"], PROXY),
    "nothing": ([], PROXY),
}
CLAIMS = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "public.example"),
    ("X-Forwarded-Port", "8443"),
    ("Forwarded", "for=6.6.6.6"),
    ("X-Real-IP", "6.6.6.6"),
]


def _pylos(trusted: str, log: Path | None = None) -> str:
    access = f'{{ path = "{log}" }}' if log else "false"
    return f"access_log = {access}\ntrusted_proxies = {trusted}"


def _fields(seen: Any) -> dict[str, list[str]]:  # noqa: ANN401 - JSON
    """The upstream's fields by lower-case name, all values."""
    fields: dict[str, list[str]] = {}
    for name, value in seen["headers"]:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def _ask(address: str, headers: list[tuple[str, str]], source: str | None = None) -> dict[str, list[str]]:
    with RawClient(address, source=source) as client:
        return _fields(client.get("/", headers).json())


@pytest.mark.parametrize("name", BELIEVED)
def test_trusted_proxy_is_believed(name: str, front: Front, echo: EchoUpstream, tmp_path: Path):
    """The upstream gets one line that begins with the client; the log names the client too."""
    lines, client = BELIEVED[name]
    log = tmp_path / "access.log"
    gateway = front(echo, pylos=_pylos(TRUSTED, log))
    fields = _ask(gateway.address(), [("X-Forwarded-For", line) for line in lines], source=PROXY)
    assert len(fields["x-forwarded-for"]) == 1
    hops = fields["x-forwarded-for"][0].split(", ")
    assert hops[0] == client
    assert hops[-1] == PROXY
    assert not any("6.6.6.6" in hop or "junk" in hop for hop in hops)
    gateway.stop()
    assert json.loads(log.read_text())["client"] == client


def test_stranger_is_not_believed(front: Front, echo: EchoUpstream):
    fields = _ask(front(echo, pylos=_pylos(TRUSTED)).address(), [("X-Forwarded-For", "1.1.1.1"), *CLAIMS])
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == ["gateway.test"]
    assert "6.6.6.6" not in str(fields)
    assert "8443" not in str(fields)


def test_all_forwarding_fields_follow_the_same_trust(front: Front, echo: EchoUpstream):
    fields = _ask(front(echo, pylos=_pylos(TRUSTED)).address(), CLAIMS, source=PROXY)
    assert fields["x-forwarded-for"] == [f"6.6.6.6, {PROXY}"]
    assert fields["x-forwarded-proto"] == ["https"]
    assert fields["x-forwarded-host"] == ["public.example"]
    assert fields["x-forwarded-port"] == ["8443"]


@pytest.mark.parametrize("trusted, expected", [('["unix"]', "1.1.1.1"), ("[]", None)], ids=["listed", "not listed"])
def test_unix_peer_is_trusted_only_when_listed(
    trusted: str, expected: str | None, front: Front, echo: EchoUpstream, tmp_path: Path
):
    sock = tmp_path / "front.sock"
    more = f'[listen.local]\nbind = "unix:{sock}"'
    gateway = front(echo, pylos=_pylos(trusted), more=more)
    fields = _ask(gateway.address("local"), [("X-Forwarded-For", "1.1.1.1")])
    assert fields.get("x-forwarded-for") == ([expected] if expected else None)


def test_ipv6_peer(front: Front, echo: EchoUpstream):
    gateway = front(echo, pylos=_pylos(TRUSTED), more='[listen.six]\nbind = "[::1]:0"')
    fields = _ask(gateway.address("six"), [("X-Forwarded-For", "1.1.1.1")])
    assert fields["x-forwarded-for"] == ["1.1.1.1, ::1"]


TWINS = [
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Forwarded_User", "root"),
    ("x_auth_user", "root"),
    ("access_key", "1"),
]


def _cgi(fields: dict[str, list[str]]) -> dict[str, list[str]]:
    """As a WSGI application sees them."""
    environ: dict[str, list[str]] = {}
    for name, values in fields.items():
        environ.setdefault("HTTP_" + name.upper().replace("-", "_"), []).extend(values)
    return environ


def test_twins_of_protected_names_are_dropped(front: Front, echo: EchoUpstream):
    """Protected are the gateway's own fields, and those that a policy of the route sets."""
    more = """
    [policy.user]
    type = "headers"
    request = { set = { x-forwarded-user = "alice", x-auth-user = "alice" } }
    """
    route = 'match = "/{rest:path}"\nuse = ["user"]'
    environ = _cgi(_ask(front(echo, route=route, more=more).address(), TWINS))
    assert environ["HTTP_X_FORWARDED_FOR"] == ["127.0.0.1"]
    assert environ["HTTP_X_FORWARDED_USER"] == ["alice"]
    assert environ["HTTP_X_AUTH_USER"] == ["alice"]
    assert environ["HTTP_ACCESS_KEY"] == ["1"]


def test_other_underscores_pass(front: Front, echo: EchoUpstream):
    environ = _cgi(_ask(front(echo).address(), TWINS))
    assert environ["HTTP_X_FORWARDED_FOR"] == ["127.0.0.1"]
    assert environ["HTTP_X_AUTH_USER"] == ["root"]
    assert environ["HTTP_ACCESS_KEY"] == ["1"]


def test_name_that_a_policy_removes_has_no_twin(front: Front, echo: EchoUpstream):
    more = '[policy.user]\ntype = "headers"\nrequest = { remove = ["x-auth-user"] }'
    route = 'match = "/{rest:path}"\nuse = ["user"]'
    environ = _cgi(_ask(front(echo, route=route, more=more).address(), TWINS))
    assert "HTTP_X_AUTH_USER" not in environ
