"""What changes between two configurations: by object and key, in the words of a file. Meaning counts, not text."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pylos.config.meaning import Meaning, Plain, Table
from pylos.config.precedence import swapped
from pylos.config.secrets import Veiled, veiled
from pylos.config.spelling import POLICIES, Chains, defaults, objects
from pylos.errors import KeyPath, printable, spelled
from pylos.model.document import KINDS
from pylos.model.secret import SHOWN

Kind = Literal["added", "removed", "changed"]

__all__ = ["Change", "KeyChange", "changes", "names_of", "rendered", "summary"]


@dataclass(frozen=True)
class KeyChange:
    """One key of an object; None is what is not there."""

    key: str
    """As a file spells it, `timeouts.connect`; also `policies`, the effective list, and `precedence` of a route."""
    before: Any
    after: Any
    why: str | None = None
    """Through what it changed, where that is another object."""


@dataclass(frozen=True)
class Change:
    """One object that is not what it was."""

    kind: Kind
    path: KeyPath
    """`("route", "site")`."""
    keys: tuple[KeyChange, ...]
    """Of an object that was added or removed, what it says."""

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        keys = [
            {"key": one.key, "before": one.before, "after": one.after, **({"why": one.why} if one.why else {})}
            for one in self.keys
        ]
        return {"change": self.kind, "object": list(self.path), "keys": keys}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Change:
        """Make it of plain values."""
        keys = tuple(KeyChange(one["key"], one["before"], one["after"], one.get("why")) for one in plain["keys"])
        return cls(plain["change"], tuple(plain["object"]), keys)


def changes(before: Meaning, after: Meaning) -> list[Change]:
    """Compare two documents. In the order of kinds and names."""
    was_all, now_all = before.document, after.document
    if was_all == now_all:
        return []
    secret = [*was_all.get("secrets", []), *now_all.get("secrets", [])]
    was_shown, now_shown = veiled(was_all, secret), veiled(now_all, secret)  # before any name is spelled in another way
    old, new = objects(before, was_shown, now_shown), objects(after, now_shown, was_shown)
    chains = chains_changed(was_all["policy"], now_all["policy"])
    elsewhere = {kind: through(was_all, now_all, kind, chains) for kind in ("listen", "route")}
    found: list[Change] = []
    for path in sorted(old.keys() | new.keys(), key=position):
        if path not in old:
            found.append(Change("added", path, tuple(KeyChange(key, None, now) for key, now in said(path, new[path]))))
        elif path not in new:
            found.append(
                Change("removed", path, tuple(KeyChange(key, was, None) for key, was in said(path, old[path])))
            )
        elif keys := [
            KeyChange(key, was, now, elsewhere[str(path[0])] if is_elsewhere(key, path, was_all, now_all) else None)
            for key, was, now in compared(old[path], new[path])
        ]:
            found.append(Change("changed", path, tuple(keys)))
    return with_precedence([without_secrets(one) for one in found], before.rows, after.rows)


def without_secrets(one: Change) -> Change:
    """Tell that a secret changed, and neither what it was nor what it is."""
    keys = [replace(key, before=shown(key.before), after=shown(key.after)) for key in one.keys]
    return Change(one.kind, one.path, tuple(keys))


def shown(plain: Any) -> Any:  # noqa: ANN401 - any value of a document
    """Give a value as it may be told."""
    return SHOWN if isinstance(plain, Veiled) else plain


def said(path: KeyPath, keys: Plain) -> Iterator[tuple[str, Any]]:
    """List what an object says beyond what all of its kind say."""
    usual = defaults(str(path[0]))
    known = {"type"} if path[0] == "policy" else set()
    yield from ((key, value) for key, value in keys.items() if key in known or (value and usual.get(key) != value))


def position(path: KeyPath) -> tuple[int, KeyPath]:
    """Sort by kind as a document is written, then by name."""
    kinds = [*KINDS, "test"]
    return kinds.index(str(path[0])), path


def compared(old: Plain, new: Plain) -> Iterator[tuple[str, Any, Any]]:
    """List the keys that differ; an empty list is what is not there."""
    for key in [*old, *(key for key in new if key not in old)]:
        was, now = old.get(key), new.get(key)
        if key == "match" and nameless(was, old) == nameless(now, new):
            continue
        if (was or None) != (now or None) or (was is False) != (now is False):
            yield key, was, now


CAPTURE = re.compile(r"\{([A-Za-z_]\w*)")


def nameless(matches: list[str] | None, route: Plain) -> list[str]:
    """Give the matches of a route without the names of captures that nothing else in it uses."""
    others = " ".join(str(value) for key, value in route.items() if key.startswith(("rewrite", "redirect")))
    used = set(CAPTURE.findall(others))
    return sorted(CAPTURE.sub(lambda one: one[0] if one[1] in used else "{", match) for match in matches or [])


def is_elsewhere(key: str, path: KeyPath, before: Table, after: Table) -> bool:
    """Whether effective policies changed, and the object's own keys did not do it."""
    if key.partition(" ")[0] != POLICIES:
        return False
    kind, name = map(str, path)
    return all(before[kind][name].get(own) == after[kind][name].get(own) for own in ("use", "without"))


def chains_changed(before: Table, after: Table) -> list[str]:
    """Name the chains that come to other policies than before."""
    old, new = Chains(before), Chains(after)
    return [policy for policy in before if policy in after and old.apart([policy]) != new.apart([policy])]


def through(before: Table, after: Table, kind: str, chains: Iterable[str]) -> str | None:
    """Tell through which other objects effective policies may have changed."""
    found = ["[pylos] use"] if before["pylos"]["use"] != after["pylos"]["use"] else []
    if kind == "route":
        listeners = sorted(before["listen"].keys() | after["listen"].keys())
        lists = {
            name: [table["listen"].get(name, {}).get("use", []) for table in (before, after)] for name in listeners
        }
        found += [f"[listen.{name}] use" for name, (old, new) in lists.items() if old != new]
    found += [f"[policy.{policy}] use" for policy in chains]
    return "through " + ", ".join(found) if found else None


def with_precedence(found: list[Change], old: Sequence[Plain], new: Sequence[Plain]) -> list[Change]:
    """Name the routes that are now asked in another order, for requests that both could take."""
    touched = {
        str(one.path[1])
        for one in found
        if one.kind == "changed" and one.path[0] == "route" and any(moves(key.key) for key in one.keys)
    }
    by_route: dict[str, list[KeyChange]] = defaultdict(list)
    for first, second in swapped(old, new, touched):
        by_route[first].append(KeyChange("precedence", f"after `{second}`", f"before `{second}`"))
    result = []
    for one in found:
        more = by_route.pop(str(one.path[-1]), []) if one.path[0] == "route" else []
        result.append(Change(one.kind, one.path, (*one.keys, *more)))
    result += [Change("changed", ("route", name), tuple(keys)) for name, keys in by_route.items()]
    return sorted(result, key=lambda one: position(one.path))


def moves(key: str) -> bool:
    """Whether a key of a route counts for its place among the others."""
    return key in ("match", "priority") or key.startswith("when.")


# -- for readers ------------------------------------------------------------------------------------------------------

MARKS = {"added": "+", "removed": "-", "changed": "~"}
MOST_NAMES = 5


def names_of(found: Iterable[Change]) -> list[str]:
    """Name what changed, `route.site changed`."""
    return [f"{'.'.join(map(str, one.path))} {one.kind}" for one in found]


def summary(found: Sequence[Change]) -> str:
    """Say in one line what changed."""
    if not found:
        return "nothing changed"
    counts = Counter(one.kind for one in found)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"{told}: {shortened(['.'.join(map(str, one.path)) for one in found])}"


def shortened(names: Sequence[str]) -> str:
    """List the first few names."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def rendered(found: Sequence[Change]) -> list[str]:
    """Write changes as lines; objects that changed in the very same way are told together."""
    alike: dict[str, list[Change]] = defaultdict(list)
    for one in found:
        what = [one.kind, str(one.path[0]), *map(repr, one.keys)] if one.kind == "changed" else [repr(one)]
        alike["\n".join(what)].append(one)
    return [line for group in alike.values() for line in group_lines(group)]


def group_lines(group: Sequence[Change]) -> Iterator[str]:
    """Write one change, or several that are alike."""
    first = group[0]
    yield f"{MARKS[first.kind]} {shortened([spelled(one.path) for one in group])}"
    for key in first.keys:
        yield f"      {key_line(key, first.kind)}"


def key_line(key: KeyChange, kind: Kind) -> str:
    """Write one key."""
    if kind == "added":
        return f"{key.key} = {value(key.after)}"
    if kind == "removed":
        return f"{key.key} = {value(key.before)}"
    why = f"  ({key.why})" if key.why else ""
    if key.key == "precedence":
        return f"is asked {key.after} now, for requests that both could take"
    if isinstance(key.before, list) or isinstance(key.after, list):
        return f"{key.key}: {list_change(key.before or [], key.after or [])}{why}"
    return f"{key.key}: {value(key.before)} -> {value(key.after)}{why}"


def list_change(before: Sequence[str], after: Sequence[str]) -> str:
    """Write what left a list and what came; or both lists, where only the order changed."""
    gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    if not (gone or new):
        return f"{value(before)} -> {value(after)}, the order"
    return ", ".join([f"- {value(one)}" for one in gone.elements()] + [f"+ {value(one)}" for one in new.elements()])


def value(plain: Any) -> str:  # noqa: ANN401 - any value of a document
    """Write a value as TOML would, on one line."""
    return "not given" if plain is None else printable(json.dumps(plain, ensure_ascii=False))
