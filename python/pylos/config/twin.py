"""The same document built in Python: `pylos.Config(listen={...}, upstream={...}, route={...}, policy={...})`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pylos.config.check import Loaded, check
from pylos.config.problems import Part, Report
from pylos.errors import ConfigError, KeyPath, Place
from pylos.model import Listen, Policy, Pylos, Route, Table, Upstream
from pylos.model.base import calling_place
from pylos.model.document import KINDS

Plain = Mapping[str, Any]


class Config:
    """A configuration. The arguments are the kinds of tables of a file; a table is a model or a plain dictionary.

    Everything is checked here: a Config that was made is sound. Raises `ConfigError` with every problem, each with
    the file and line of the call that made the table.

        pylos.Config(
            listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
            upstream={"web": pylos.Upstream(targets=["http://localhost:8000"])},
            route={"site": pylos.Route(match="/{rest:path}", to="web")},
        )
    """

    def __init__(
        self,
        *,
        pylos: Pylos | Plain | None = None,
        listen: Mapping[str, Listen | Plain] | None = None,
        upstream: Mapping[str, Upstream | Plain] | None = None,
        policy: Mapping[str, Policy | Plain] | None = None,
        route: Mapping[str, Route | Plain] | None = None,
        **unknown: Any,  # noqa: ANN401 - reported as in a file, P103
    ) -> None:
        given = {"pylos": pylos, "listen": listen, "upstream": upstream, "policy": policy, "route": route, **unknown}
        self.loaded: Loaded = loaded(given, calling_place())

    def __repr__(self) -> str:
        names = [f"{kind}={sorted(self.loaded.table[kind])}" for kind in KINDS if kind != "pylos"]
        return f"Config({', '.join(names)})"


def proxy_to(targets: Iterable[str], bind: str, place: Place) -> Loaded:
    """Build the configuration of a plain proxy: what comes to `bind` goes to the targets; problems tell `place`."""
    given = {
        "listen": {"http": {"bind": bind}},
        "upstream": {"web": {"targets": list(targets)}},
        "route": {"all": {"match": "/{rest:path}", "to": "web"}},
    }
    return loaded(given, place)


def loaded(given: Mapping[str, Any], place: Place) -> Loaded:
    """Check a document made in Python."""
    places = CallPlaces({(): place})
    report = Report(places)
    document = plain(given, (), report, places)
    if report.wrong:
        raise ConfigError(report.problems)
    return check(document, places, watch=[])


class CallPlaces:
    """Where tables were made."""

    def __init__(self, calls: dict[KeyPath, Place]) -> None:
        self.calls = calls

    def place(self, path: KeyPath, part: Part) -> Place:  # noqa: ARG002 - a call is one place
        """Find the call that made the innermost table around `path`."""
        while path not in self.calls:
            path = path[:-1]
        return self.calls[path]


def plain(value: Any, path: KeyPath, report: Report, places: CallPlaces) -> Any:  # noqa: ANN401 - any value
    """Turn models into the plain values that a file would give. None is what was not given."""
    if isinstance(value, Table):
        if value.place:
            places.calls[path] = value.place
        check_kind(value, path, report)
        value = with_type(value)
    if isinstance(value, Mapping):
        return {key: plain(inner, (*path, key), report, places) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner, (*path, index), report, places) for index, inner in enumerate(value)]
    if isinstance(value, str) and not value.isascii() and value != value.encode(errors="replace").decode():
        report.add("P104", path, "is no valid Unicode")
    return value


def check_kind(table: Table, path: KeyPath, report: Report) -> None:
    """Refuse a model in the place of another, which would else be many unknown keys."""
    allowed = KINDS.get(str(path[0]), ()) if len(path) == (1 if path[0] == "pylos" else 2) else ()
    if allowed and not isinstance(table, allowed):
        wanted = " or ".join(model.__name__ for model in allowed)
        report.add("P104", path, f"must be a {wanted}, not a {type(table).__name__}")


def with_type(table: Table) -> dict[str, Any]:
    """Give what was written in a table; a policy's class is its `type`."""
    field = type(table).model_fields.get("type")
    return table.given if field is None else {"type": field.default, **table.given}
