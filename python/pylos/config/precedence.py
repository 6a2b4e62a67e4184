"""Which routes changed places: pairs that could take the same request, and are now asked in another order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

Row = dict[str, Any]
"""One pattern of one route, as `Compiled.routes` lists it."""


def swapped(old: Sequence[Row], new: Sequence[Row], touched: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give (first, second): `first` is now asked before `second`, and was asked after it.

    Only routes in `touched` can have moved, so pairs without any of them are not looked at.
    """
    if not touched:
        return
    was, now = Order(old), Order(new)
    kept = was.routes & now.routes
    for mover in sorted(kept.intersection(touched)):
        for other in sorted(now.near(mover) & was.near(mover) & kept):
            if other == mover or (other in touched and other < mover):
                continue
            before, after = was.relation(mover, other), now.relation(mover, other)
            if before and after and before != after:
                yield (mover, other) if after < 0 else (other, mover)


class Order:
    """The patterns of all routes, in the order in which they are tried."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[str, list[tuple[int, Row]]] = {}
        self._by_host: dict[str, set[str]] = {}
        for place, row in enumerate(rows):
            self._rows.setdefault(row["route"], []).append((place, row))
            self._by_host.setdefault(row["host"], set()).add(row["route"])
        self.routes = self._rows.keys() | set()

    def near(self, route: str) -> set[str]:
        """Give the routes with a host that some host of this one meets."""
        hosts = {row["host"] for _, row in self._rows[route]}
        met = [others for host, others in self._by_host.items() if any(hosts_meet(host, own) for own in hosts)]
        return set().union(*met)

    def relation(self, one: str, other: str) -> int:
        """-1: `one` is asked first, 1: `other` is; 0 where no request could go to both."""
        meetings = [(a, b) for a, row_a in self._rows[one] for b, row_b in self._rows[other] if overlap(row_a, row_b)]
        if not meetings:
            return 0
        first, second = min(meetings)
        return -1 if first < second else 1


def overlap(one: Row, other: Row) -> bool:
    """Whether some request fits both patterns, as far as methods, host and path tell."""
    methods = one["methods"] is None or other["methods"] is None or set(one["methods"]) & set(other["methods"])
    return bool(methods) and hosts_meet(one["host"], other["host"]) and paths_meet(one["path"], other["path"])


def hosts_meet(one: str, other: str) -> bool:
    """Whether some host fits both: a name, `*.name`, `**.name` or "" for any."""
    if not one or not other:
        return True
    wild, exact = (one, other) if one.startswith("*") else (other, one)
    if not wild.startswith("*"):
        return one == other
    suffix = wild.lstrip("*")
    if exact.startswith("*"):
        return exact.lstrip("*").endswith(suffix) or suffix.endswith(exact.lstrip("*"))
    label = exact.removesuffix(suffix)
    return exact.endswith(suffix) and bool(label) and (wild.startswith("**") or "." not in label)


def paths_meet(one: str, other: str) -> bool:
    """Whether some path fits both templates."""
    left, right = one.split("/"), other.split("/")
    for a, b in zip(left, right, strict=False):
        if a.endswith(":path}") or b.endswith(":path}"):
            return True
        if a != b and not (a.startswith("{") or b.startswith("{")):
            return False
    shorter, longer = sorted((left, right), key=len)
    # `/x/{rest:path}` takes `/x` too.
    return len(left) == len(right) or (len(longer) == len(shorter) + 1 and longer[-1].endswith(":path}"))
