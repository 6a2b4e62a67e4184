"""Where the secrets of a document stand, and what is shown in their place.

The table that the gateway takes has them in plain text. Beside it goes a list of their places, by which everything that
shows a part of a table leaves them out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pylos.model import Document, Headers, Secret
from pylos.model.secret import SHOWN

Places = Sequence[Sequence[str]]
"""Paths of the table: `["policy", NAME, "kind", "request", "set", FIELD]`."""


def secrets_of(document: Document) -> list[list[str]]:
    """List the places of all secrets, sorted."""
    return sorted(
        ["policy", name, "kind", side, verb, field]
        for name, policy in document.policy.items()
        if isinstance(policy, Headers)
        for side, edits in (("request", policy.request), ("response", policy.response))
        for verb, fields in (("set", edits.set), ("add", edits.add))
        for field, value in fields.items()
        if isinstance(value, Secret)
    )


def values_at(table: Mapping[str, Any], places: Places) -> frozenset[str]:
    """Give the secrets themselves."""
    found = set()
    for place in places:
        value: Any = table
        for step in place:
            value = value[step]
        found.add(value)
    return frozenset(found)


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


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Give a field's value, or what is shown in its place."""
    return SHOWN if text in secrets else text


def hidden_at_end(line: str, secrets: Iterable[str]) -> str:
    """Give a line such as `set NAME: VALUE` without a secret in the value's place."""
    found = next((secret for secret in secrets if line.endswith(f": {secret}")), None)
    return line if found is None else line.removesuffix(found) + SHOWN
