"""What another configuration does to real requests: each line of an access log is asked of both tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pylos.config.meaning import Meaning
from pylos.config.spelling import kind_of
from pylos.errors import PylosError, printable

MOST_CACHED = 50_000
"""Distinct requests whose answer is remembered; then all are forgotten and remembered anew."""
CUT = "\u2026(cut)"
"""How a text ends that was too long for the log."""


class Fate(NamedTuple):
    """What becomes of a request."""

    label: str
    """The same for all requests that are treated alike: "route site -> web", "refused 404 no_route"."""
    detail: str
    """What is this request's own: the target as sent, or the location of a redirect."""
    passes: bool
    """Not refused."""


class Asked(NamedTuple):
    """A request, as far as a log tells it and it matters."""

    method: str
    host: str
    path: str
    query: str | None
    listener: str | None
    client: str | None

    def __str__(self) -> str:
        query = "" if self.query is None else f"?{self.query}"
        return printable(f"{self.method} {self.host}{self.path}{query}")


@dataclass
class Group:
    """Requests that go from one fate to another."""

    before: Fate
    after: Fate
    count: int
    example: Asked


@dataclass
class Compared:
    """What became of all lines of a log."""

    requests: int = 0
    unreadable: int = 0
    """Lines that are no request of the log's form, or whose texts were cut."""
    distinct: int = 0
    groups: dict[tuple[str, str, bool], Group] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    """What the tables ask of requests and a log does not tell."""

    @property
    def moved(self) -> int:
        """Requests that would be treated in another way."""
        return sum(group.count for group in self.groups.values())

    def sorted(self) -> list[Group]:
        """Give the groups, the largest first."""
        return sorted(self.groups.values(), key=lambda group: (-group.count, group.before.label, group.after.label))

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        groups = [
            {
                "count": group.count,
                "before": group.before.label,
                "after": group.after.label,
                "now_refused": group.before.passes and not group.after.passes,
                "now_answered": group.after.passes and not group.before.passes,
                "example": {"request": str(group.example), "before": group.before.detail, "after": group.after.detail},
            }
            for group in self.sorted()
        ]
        counts = {"requests": self.requests, "moved": self.moved, "unreadable": self.unreadable}
        return {**counts, "groups": groups, "unseen": self.unseen}

    def lines(self) -> Iterator[str]:
        """Write it for a reader."""
        yield f"traffic: {self.moved} of {self.requests} requests would be treated in another way"
        for group in self.sorted():
            yield f"{group.count:8}  {group.before.label}  ->  {group.after.label}{mark(group)}"
            yield f"          such as {group.example}"
            if group.before.label == group.after.label or group.before.detail != group.after.detail:
                yield f"          {group.before.detail or 'nothing'}  ->  {group.after.detail or 'nothing'}"
        if self.unreadable:
            yield f"{self.unreadable} lines could not be read"
        yield from (f"not considered: {what}" for what in self.unseen)


def mark(group: Group) -> str:
    """Point at what matters most."""
    if group.before.passes != group.after.passes:
        return "  (refused now)" if group.before.passes else "  (answered now)"
    return "  (another path)" if group.before.label == group.after.label else ""


def compare(before: Meaning, after: Meaning, log: Path) -> Compared:
    """Ask both for each request of a log file. Raises PylosError when the file cannot be read."""
    try:
        with log.open("rb") as lines:
            return compare_lines(before, after, lines)
    except OSError as error:
        raise PylosError(f"{log} cannot be read: {error.strerror}") from None


def compare_lines(before: Meaning, after: Meaning, lines: Iterable[bytes]) -> Compared:
    """Ask both for each line; a line is looked at once and forgotten, so the log may be of any length."""
    old, new = Oracle(before), Oracle(after)
    by_client = looks_at_addresses(before) or looks_at_addresses(after)
    result = Compared(unseen=unseen(before, after))
    known: dict[Asked, tuple[Fate, Fate]] = {}
    for line in lines:
        asked = request_of(line, by_client=by_client)
        if asked is None:
            result.unreadable += bool(line.strip())
            continue
        result.requests += 1
        fates = known.get(asked)
        if fates is None:
            if len(known) >= MOST_CACHED:
                known.clear()
            fates = known[asked] = old.fate(asked), new.fate(asked)
            result.distinct += 1
        if fates[0] != fates[1]:
            note(result, asked, *fates)
    return result


def note(result: Compared, asked: Asked, was: Fate, now: Fate) -> None:
    """Count a request that is treated in another way."""
    key = was.label, now.label, was.detail != now.detail
    group = result.groups.get(key)
    if group is None:
        result.groups[key] = Group(was, now, 1, asked)
    else:
        group.count += 1


def request_of(line: bytes, *, by_client: bool) -> Asked | None:
    """Read a line of the log; None for what tells no whole request."""
    try:
        told = json.loads(line)
        method, host, path = told["method"], told["host"], told["path"]
        query, listener = told.get("query"), told.get("listener")
        client = told.get("client") if by_client else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    optional = [text for text in (query, listener, client) if text is not None]
    if not all(isinstance(text, str) and not text.endswith(CUT) for text in [method, host, path, *optional]):
        return None
    if not method or not path.startswith("/"):
        return None  # refused before it was understood
    return Asked(method, host, path, query, listener, client)


def looks_at_addresses(meaning: Meaning) -> bool:
    """Whether it matters to a configuration who asks."""
    policies, routes = meaning.document["policy"].values(), meaning.document["route"].values()
    return (
        any(kind_of(policy).get("allow_ip") or kind_of(policy).get("deny_ip") for policy in policies)
        or any((route.get("when") or {}).get("ip") for route in routes)
        or not WHO.isdisjoint(asked_by(meaning))
    )


WHO = {"client.id", "client.ip"}
"""What an `if` may ask for and an address tells; without a name, that is the client's id."""


def unseen(before: Meaning, after: Meaning) -> list[str]:
    """Tell what a log does not say, where one of the two asks for it."""
    found = []
    routes = [route for one in (before, after) for route in one.document["route"].values()]
    whens = [route.get("when") or {} for route in routes]
    if any(when.get("header") or when.get("cookie") for when in whens):
        found.append("`when` on header or cookie: a log has no fields, such conditions do not hold here")
    if not UNTOLD.isdisjoint(asked_by(before) | asked_by(after)):
        found.append("`if` on fields or on who the client is: a log does not tell them")
    return found


UNTOLD = {"client.claims", "client.plan", "request.headers"}
"""What an `if` may ask for and a log does not tell."""


def asked_by(meaning: Meaning) -> set[str]:
    """Give all that the `if` of any policy asks for."""
    return {what for asks in meaning.compiled.asks().values() for what in asks}


class Oracle:
    """Tells what a configuration does with a request."""

    def __init__(self, meaning: Meaning) -> None:
        self._compiled = meaning.compiled
        listeners = meaning.document["listen"].items()
        self._listeners = {name for name, listen in listeners if "proxy" in listen["serve"]}

    def fate(self, asked: Asked) -> Fate:
        """Ask."""
        query = "" if asked.query is None else f"?{asked.query}"
        question = {
            "method": asked.method,
            "url": f"{asked.path}{query}",
            "headers": [["host", asked.host]],
            "peer": asked.client or "127.0.0.1",
            "listener": asked.listener if asked.listener in self._listeners else None,
        }
        try:
            told = self._compiled.explain(json.dumps(question).encode())
        except ValueError as error:
            return Fate(f"not understood: {error}", "", passes=False)
        return fate_of(told)


def fate_of(told: Mapping[str, Any]) -> Fate:
    """Make a Fate of an explanation."""
    outcome = told["outcome"]
    route = f"route {told['route']['name']}" if told["route"] else "no route"
    match outcome["kind"]:
        case "forward":
            return Fate(f"{route} to {outcome['upstream']}", told["sent"]["target"], passes=True)
        case "redirect":
            return Fate(f"{route}, redirect {outcome['status']}", outcome["location"], passes=True)
        case "respond":
            return Fate(f"{route}, answer {outcome['status']}", "", passes=True)
        case "refuse":
            return Fate(f"{route}, refused {outcome['status']} {outcome['reason']}", "", passes=False)
        case kind:
            return Fate(str(kind), "", passes=True)
