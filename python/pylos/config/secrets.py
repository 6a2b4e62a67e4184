"""Where the secrets of a document stand, and what is shown in their place.

The table that the gateway takes has them in plain text. Beside it goes a list of their places, by which everything that
shows a part of a table leaves them out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylos.config.acme import secrets_of_acme
from pylos.model import Document, Headers, Secret
from pylos.model.secret import SHOWN

Places = Sequence[Sequence[str | int]]
"""Paths of the table: `["policy", NAME, "kind", "request", "set", FIELD]`, `["listen", NAME, "admin_token"]`,
`["tls", NAME, "certificates", NUMBER, "key"]`, `["upstream", NAME, "tls", "certificate", "key"]`; and beside it
`["acme", "tables", NAME, "eab", "key"]`, `["acme", "tables", NAME, "dns", "update", "key"]`."""
TOKEN = "admin_token"  # noqa: S105 - the name of a key
"""The key of a listener's secret."""
KEY = "key"
"""That of a certificate's."""
ACME = "acme"
"""What stands beside the table."""


def secrets_of(document: Document, table: Mapping[str, Any], acme: Mapping[str, Any]) -> list[list[str | int]]:
    """List the places of all secrets in the table of a document, and in what is said of `acme`, sorted."""
    listeners = document.listen.items()
    tokens = [("listen", name, TOKEN) for name, listen in listeners if listen.admin_token is not None]
    keys = [
        ("tls", name, "certificates", index, KEY)
        for name, tls in table["tls"].items()
        for index in range(len(tls["certificates"]))
    ]
    outward = [
        ("upstream", name, "tls", "certificate", KEY)
        for name, upstream in table["upstream"].items()
        if (upstream["tls"] or {}).get("certificate")
    ]
    fields = sorted(
        ("policy", name, "kind", side, verb, field)
        for name, policy in document.policy.items()
        if isinstance(policy, Headers)
        for side, edits in (("request", policy.request), ("response", policy.response))
        for verb, fields in (("set", edits.set), ("add", edits.add))
        for field, value in fields.items()
        if isinstance(value, Secret)
    )
    return [list(place) for place in (*tokens, *keys, *outward, *fields, *secrets_of_acme(acme))]


def values_at(table: Mapping[str, Any], places: Places) -> frozenset[str]:
    """Give those of the table itself. What stands in for a key that is still to come is none."""
    found = set()
    for place in places:
        if place[0] == ACME:
            continue
        value: Any = table
        for step in place:
            value = value[step]
        found.add(value)
    return frozenset(found - {""})


def with_stand_ins(table: Mapping[str, Any], places: Places, stand_in: Callable[[str], str]) -> Mapping[str, Any]:
    """Give a table that has something else in the place of each secret."""
    if not places:
        return table
    table = copy.deepcopy(dict(table))
    for *way, key in places:
        inner: Any = table
        for step in way:
            inner = inner[step]
        inner[key] = stand_in(inner[key])
    return table


@dataclass(frozen=True, repr=False)
class Veiled:
    """A secret that can be compared with another, and that nothing can write."""

    _value: str

    def __repr__(self) -> str:
        return SHOWN


def veiled(document: Mapping[str, Any], places: Places) -> Mapping[str, Any]:
    """Give a document with what it holds at these places veiled, in whatever letter case it names the fields."""
    document = {
        **document,
        "listen": {name: without_token(listen) for name, listen in document["listen"].items()},
        "tls": {name: without_keys(tls) for name, tls in document.get("tls", {}).items()},
        "upstream": {name: without_own_key(upstream) for name, upstream in document["upstream"].items()},
        ACME: without_keys_of_acme(document.get(ACME, {})),
    }
    fields = {(name, side, verb, str(field).lower()) for _, name, _, side, verb, field in in_policies(places)}
    policies = dict(document["policy"])
    for name in {name for name, *_ in fields} & policies.keys():
        kind = dict(policies[name]["kind"])
        for side in kind.keys() & {"request", "response"}:
            edits = dict(kind[side])
            for verb in ("set", "add"):
                edits[verb] = {
                    field: Veiled(value) if (name, side, verb, field.lower()) in fields else value
                    for field, value in edits[verb].items()
                }
            kind[side] = edits
        policies[name] = {**policies[name], "kind": kind}
    return {**document, "policy": policies}


def in_policies(places: Places) -> Iterator[Sequence[str | int]]:
    """Give the places of what fields hold."""
    return (place for place in places if place[0] == "policy")


def without_token(listen: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a listener with its token veiled: that is a secret, whatever the list says."""
    token = listen.get(TOKEN)
    return listen if token is None else {**listen, TOKEN: Veiled(token)}


def without_keys(tls: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a `tls` with its keys veiled: those are secrets, whatever the list says."""
    return {**tls, "certificates": [{**one, KEY: Veiled(one[KEY])} for one in tls["certificates"]]}


def without_keys_of_acme(acme: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what is said of `acme` with the keys in it veiled."""
    tables = {name: dict(table) for name, table in acme.get("tables", {}).items()}
    for table in tables.values():
        if table["eab"] is not None:
            table["eab"] = {**table["eab"], KEY: Veiled(table["eab"][KEY])}
        update = (table["dns"] or {}).get("update")
        if update and update[KEY] is not None:
            table["dns"] = {**table["dns"], "update": {**update, KEY: Veiled(update[KEY])}}
    return {**acme, "tables": tables} if tables else acme


def without_own_key(upstream: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an upstream with the key of what is shown to its targets veiled."""
    tls = upstream.get("tls") or {}
    if not (shown := tls.get("certificate")):
        return upstream
    return {**upstream, "tls": {**tls, "certificate": {**shown, KEY: Veiled(shown[KEY])}}}


def hidden(text: str, secrets: Collection[str]) -> str:
    """Give a field's value, or what is shown in its place."""
    return SHOWN if text in secrets else text


def hidden_in_line(line: str, secrets: Collection[str]) -> str:
    """Give a line such as `set NAME: VALUE` without a secret in the value's place. No name has a colon."""
    head, colon, value = line.partition(": ")
    return f"{head}{colon}{hidden(value, secrets)}"
