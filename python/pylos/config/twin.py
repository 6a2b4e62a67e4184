"""The same document built in Python: `pylos.Config(listen={...}, upstream={...}, route={...}, policy={...})`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pylos.config.check import Loaded, check
from pylos.config.problems import Part, Report, described
from pylos.config.variables import literal, sound
from pylos.errors import KeyPath, Place
from pylos.model import Acme, Listen, Policy, Pylos, Route, Table, Test, Tls, Upstream
from pylos.model.base import calling_place
from pylos.model.document import KINDS

Plain = Mapping[str, Any]


class Config:
    """A configuration. The arguments are the kinds of tables of a file; a table is a model or a plain dictionary.

    Everything is checked here, and the tests are run: a Config that was made is sound. Raises `ConfigError` with every
    problem, each with the file and line of the call that made the table. Strings have variables, `${NAME}`, as in a
    file; what `include` names starts at the folder of the calling file.

        pylos.Config(
            listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
            upstream={"web": pylos.Upstream(targets=["http://localhost:8000"])},
            route={"site": pylos.Route(match="/{rest:path}", to="web")},
        )
    """

    def __init__(  # noqa: PLR0913 - a document has these kinds
        self,
        *,
        pylos: Pylos | Plain | None = None,
        listen: Mapping[str, Listen | Plain] | None = None,
        tls: Mapping[str, Tls | Plain] | None = None,
        acme: Mapping[str, Acme | Plain] | None = None,
        upstream: Mapping[str, Upstream | Plain] | None = None,
        policy: Mapping[str, Policy | Plain] | None = None,
        route: Mapping[str, Route | Plain] | None = None,
        test: Mapping[str, Test | Plain] | None = None,
        defaults: Mapping[str, Plain] | None = None,
        include: Sequence[str] | None = None,
        **unknown: Any,  # noqa: ANN401 - reported as in a file, P103
    ) -> None:
        kinds: dict[str, Plain | Pylos | None] = {"pylos": pylos, "listen": listen, "tls": tls, "acme": acme}
        kinds |= {"upstream": upstream, "policy": policy, "route": route, "test": test}
        given = {**kinds, "defaults": defaults, "include": include, **unknown}
        self.loaded: Loaded = loaded(given, calling_place())

    def __repr__(self) -> str:
        kinds = [kind for kind in KINDS if kind != "pylos" and kind in self.loaded.table]
        names = [f"{kind}={sorted(self.loaded.table[kind])}" for kind in kinds]
        return f"Config({', '.join(names)})"


def proxy_to(targets: Iterable[str], bind: str, place: Place) -> Loaded:
    """Build the configuration of a plain proxy: what comes to `bind` goes to the targets; problems tell `place`."""
    given = {
        "listen": {"http": {"bind": literal(bind)}},
        "upstream": {"web": {"targets": [literal(target) for target in targets]}},
        "route": {"all": {"match": "/{rest:path}", "to": "web"}},
    }
    return loaded(given, place)


def loaded(given: Mapping[str, Any], place: Place) -> Loaded:
    """Check a document made in Python."""
    places = CallPlaces({(): place})
    report = Report(places)
    document = plain(given, (), report, places)
    return check(document, places, [], report)


class CallPlaces:
    """Where tables were made."""

    def __init__(self, calls: dict[KeyPath, Place]) -> None:
        self.calls = calls

    def place(self, path: KeyPath, part: Part) -> Place:  # noqa: ARG002 - a call is one place
        """Find the call that made the innermost table around `path`."""
        while path not in self.calls:
            path = path[:-1]
        return self.calls[path]

    def token(self, path: KeyPath, text: str, index: int) -> Place:  # noqa: ARG002 - as `place`
        """Find the call that was given a string with a variable."""
        return self.place(path, "value")


def plain(value: Any, path: KeyPath, report: Report, places: CallPlaces) -> Any:  # noqa: ANN401 - any value
    """Turn models into the plain values that a file would give. None is what was not given."""
    if isinstance(value, Table):
        if value.place:
            places.calls[path] = value.place
        if not check_kind(value, path, report):
            return {}
        written = with_type(value)
        value = settled(written) if value.settled else written
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, str)]
        for key in odd:
            report.add("P104", path, f"a key must be a string, not {described(key)}")
        kept = {key: inner for key, inner in value.items() if inner is not None and key not in odd}
        return {bare(key): plain(inner, (*path, bare(key)), report, places) for key, inner in kept.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, (*path, index), report, places) for index, inner in enumerate(value)]
    if isinstance(value, str) and not sound(value):
        report.add("P104", path, "is no valid Unicode")
        report.spoil(path)
        return ""
    return bare(value)


def bare(value: Any) -> Any:  # noqa: ANN401 - any value
    """Take a text or number out of a type of its own, such as that of an enumeration."""
    match value:
        case str():
            return str.__str__(value)
        case int() if not isinstance(value, bool):
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case _:
            return value


def settled(value: Any) -> Any:  # noqa: ANN401 - any value
    """Spell what came from a file so that it means itself: its variables have been replaced."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, dict):
        return {key: settled(inner) for key, inner in value.items()}
    return [settled(inner) for inner in value] if isinstance(value, list) else value


def check_kind(table: Table, path: KeyPath, report: Report) -> bool:
    """Refuse a model in the place of another, which would else be many unknown keys; whether it is the right one."""
    allowed = KINDS.get(str(path[0]), ()) if len(path) == (1 if path[0] == "pylos" else 2) else ()
    if allowed and not isinstance(table, allowed):
        wanted = " or ".join(model.__name__ for model in allowed)
        report.add("P104", path, f"must be {article(wanted)} {wanted}, not a {type(table).__name__}")
        report.spoil(path)
        return False
    return True


def article(word: str) -> str:
    """Give the article of a word."""
    return "an" if word[0] in "AEIOU" else "a"


def with_type(table: Table) -> dict[str, Any]:
    """Give what was written in a table; a policy's class is its `type`."""
    field = type(table).model_fields.get("type")
    return table.given if field is None else {"type": field.default, **table.given}
