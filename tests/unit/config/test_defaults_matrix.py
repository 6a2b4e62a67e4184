"""Every key of a kind with defaults: it comes from the default, the nearer wins whole, and none is forgotten."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from certificates import issue

from pylos.config import load_text
from pylos.config.defaults import OF_KINDS, OWN_KEYS
from pylos.model.document import KINDS

REST = """
[listen.rest]
bind = "127.0.0.1:1"
[upstream.rest]
targets = ["http://127.0.0.1:2"]
[tls.one]
cert = "one.pem"
key = "one.key"
[tls.two]
cert = "two.pem"
key = "two.key"
[policy.one]
type = "filter"
[policy.two]
type = "filter"
"""
"""Stands below every document."""

NEEDED = {
    "listen": {"bind": '"127.0.0.1:3"'},
    "upstream": {"targets": '["http://127.0.0.1:4"]'},
    "route": {"match": '"/a/{rest:path}"', "to": '"rest"'},
}
"""What an object has besides the key in question."""

MATRIX: dict[str, dict[str, tuple[str, str]]] = {
    "listen": {
        "bind": ('"127.0.0.1:5"', '["127.0.0.1:6", "127.0.0.1:7"]'),
        "mode": ('"0660"', '"600"'),
        "tls": ('"one"', '["two"]'),
        "sni": ('"strict"', '"one"'),
        "protocols": ('["h1"]', '["h1", "h1"]'),
        "redirect": ('"https"', '"https:8443"'),
        "serve": ('["metrics"]', '["health"]'),
        "admin_token": ('{ env = "PYLOS_TEST_TOKEN" }', '{ env = "PYLOS_TEST_OTHER" }'),
        "use": ('["one"]', '["two"]'),
        "limits": ('{ fields = 7, body = "1KiB" }', "{ connections = 5 }"),
        "timeouts": ('{ idle = "7s", header = "1s" }', '{ idle = "9s" }'),
        "silence": ('["P203"]', '["P210"]'),
    },
    "upstream": {
        "targets": ('["http://127.0.0.1:5", "http://127.0.0.1:6"]', '["unix:/run/a.sock"]'),
        "balance": ('"round_robin"', '{ hash = "client.id" }'),
        "slow_start": ('"30s"', '"10s"'),
        "panic_threshold": ('"50%"', '"0%"'),
        "outliers": ('{ errors = 3, share = "10%" }', "false"),
        "max_requests": ("200", "0"),
        "health": ('{ path = "/a", fall = 9 }', '{ path = "/b" }'),
        "host": ('"target"', '"a.example"'),
        "tls": ('{ server_name = "a" }', '{ server_name = "b" }'),
        "pool": ('{ idle = "4s", max_idle = 9 }', "{ max_idle = 5 }"),
        "timeouts": ('{ connect = "1s", idle = "1s" }', '{ connect = "2s" }'),
        "silence": ('["P203"]', '["P210"]'),
    },
    "route": {
        "match": ('"/a"', '["/b", "/c"]'),
        "when": ('{ header = { x-a = true }, query = { v = "1" } }', '{ query = { v = "2" } }'),
        "priority": ("1", "2"),
        "to": ('"rest"', '"other"'),
        "redirect": ('"/x"', '{ to = "/y", status = 302 }'),
        "respond": ('{ text = "a", headers = { x-a = "1" } }', "{ status = 204 }"),
        "rewrite": ('"/x/{rest}"', '{ re = "^/a", to = "/b" }'),
        "strip": ('"/a"', '"/a/"'),
        "use": ('["one"]', '["two"]'),
        "timeout": ('"1s"', '"2s"'),
        "timeouts": ('{ total = "1h", tunnel_idle = "1m" }', '{ total = "2h" }'),
        "upgrade": ("[]", '["websocket", "x"]'),
        "silence": ('["P203"]', '["P210"]'),
    },
}
"""By kind and key: what the default says, and what a nearer one says."""

CASES = [(kind, key) for kind, keys in MATRIX.items() for key in keys]
ACTIONS = {"to", "redirect", "respond"}


def test_no_key_is_forgotten():
    keys = {kind: {field.alias or name for name, field in KINDS[kind][0].model_fields.items()} for kind in OF_KINDS}

    assert {kind: set(table) | OWN_KEYS.get(kind, {}).keys() for kind, table in MATRIX.items()} == keys


@pytest.fixture(autouse=True)
def tokens(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        issue(f"{name}.example.com").save(tmp_path, name)
    monkeypatch.setenv("PYLOS_TEST_TOKEN", secrets.token_hex())
    monkeypatch.setenv("PYLOS_TEST_OTHER", secrets.token_hex())


@pytest.mark.parametrize("kind, key", CASES)
def test_a_default_is_as_if_the_object_said_it(kind: str, key: str):
    value, _ = MATRIX[kind][key]

    assert table(kind, {key: value}, needed(kind, key)) == table(kind, {}, {**needed(kind, key), key: value})


@pytest.mark.parametrize("kind, key", CASES)
def test_what_the_object_says_counts_whole(kind: str, key: str):
    value, nearer = MATRIX[kind][key]

    assert table(kind, {key: value}, {**needed(kind, key), key: nearer}) == table(
        kind, {}, {**needed(kind, key), key: nearer}
    )


@pytest.mark.parametrize("key", [*sorted(ACTIONS), "rewrite", "strip", "timeout", "timeouts", "upgrade"])
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_default_that_would_contradict_a_route_is_not_for_it(action: str, key: str):
    value, _ = MATRIX["route"][key]
    own = {"match": '"/a/{rest:path}"', action: MATRIX["route"][action][0]}
    kept = {key: value} if action == "to" and key not in ACTIONS else {}

    assert table("route", {key: value}, own) == table("route", {}, {**own, **kept})


@pytest.mark.parametrize("serve, counts", [(None, False), ('["metrics"]', False), ('["metrics", "admin"]', True)])
def test_a_token_for_all_is_asked_for_where_there_is_an_admin_api(serve: str | None, *, counts: bool):
    own = {"bind": '"127.0.0.1:3"'} | ({} if serve is None else {"serve": serve})

    assert (
        table("listen", {"admin_token": '{ env = "PYLOS_TEST_TOKEN" }'}, own)["means"]["admin_token"] is not None
    ) == counts


@pytest.mark.parametrize(
    "own, tls, default",
    [
        ({}, ["one", "two"], "two"),
        ({"tls": '"one"'}, ["one"], "one"),
        ({"tls": '["two"]'}, ["two"], "two"),
        ({"tls": "[]"}, [], None),
        ({"serve": '["metrics"]'}, [], None),
        ({"serve": '["metrics"]', "tls": '"one"'}, ["one"], "one"),
        ({"sni": '"one"'}, ["one", "two"], "one"),
    ],
)
def test_certificates_for_all_are_not_for_admin_listeners(own: dict[str, str], tls: list[str], default: str | None):
    """A probe asks by an address, and `sni` is only for who has its name."""
    found = table("listen", {"tls": '["one", "two"]', "sni": '"two"'}, {"bind": '"127.0.0.1:3"', **own})["means"]

    assert (found["tls"], found["tls_default"]) == (tls, default)


@pytest.mark.parametrize(
    "own, default", [({}, None), ({"tls": '"one"'}, None), ({"tls": '["one", "two"]', "sni": '"two"'}, "two")]
)
def test_strict_for_all_is_for_those_that_speak_tls(own: dict[str, str], default: str | None):
    found = table("listen", {"sni": '"strict"'}, {"bind": '"127.0.0.1:3"', **own})["means"]

    assert found["tls_default"] == default


def needed(kind: str, key: str) -> dict[str, str]:
    """Give what an object needs besides a key, which may take the place of `to`."""
    gone = ACTIONS if key in ACTIONS else {key}
    beside = {"admin_token": {"serve": '["admin"]'}, "sni": {"tls": '"one"'}}
    if kind == "upstream":
        beside["tls"] = {"targets": '["https://127.0.0.1:4"]'}
    needed = {**NEEDED[kind], **beside.get(key, {})}
    return {name: value for name, value in needed.items() if name not in gone}


def table(kind: str, default: dict[str, str], own: dict[str, str]) -> dict[str, Any]:
    """Give all that comes of one object of a kind in a document with a default and the rest."""
    lines = [f"[defaults.{kind}]", *written(default), f"[{kind}.it]", *written(own)]
    other = '[upstream.other]\ntargets = ["http://127.0.0.1:8"]\n'
    loaded = load_text("\n".join(lines) + REST + other, "x.toml")
    return {
        "said": getattr(loaded.config, kind)["it"].model_dump(by_alias=True),
        "means": loaded.table[kind]["it"],
        "routes": [row for row in loaded.routes() if row["route"] == "it"],
    }


def written(keys: dict[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in keys.items()]
