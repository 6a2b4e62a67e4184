"""The shape of a document: every table read by its model, and all that does not fit told at once.

A table with mistakes is read again without the keys and entries that are wrong, so that what else is wrong with it
comes to light and the rest of the document can be checked against it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pylos.config.problems import (
    Report,
    choices,
    closest,
    described,
    did_you_mean,
    hint_of,
    holds,
    key_path,
    message_of,
)
from pylos.errors import KeyPath
from pylos.model import Document, Secret, Table
from pylos.model.document import KINDS
from pylos.model.later import KEYS
from pylos.model.policy import POLICIES

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
TOP = (*KINDS, "defaults", "include")
"""What can stand at the top of a file."""
NO_NAME = ("tls", "strict")
"""A word with a meaning of its own where the name would be used."""
Settled = Mapping[KeyPath, set[KeyPath]]
"""By table: keys, from the table on, of which it is no news that they are missing."""


def shape(document: Mapping[str, Any], report: Report, settled: Settled | None = None) -> Document:
    """Read every table that can be read, and report everything that cannot. `settled` keys are not missing."""
    settled = settled or {}
    tables: dict[str, Any] = {kind: {} for kind in KINDS if kind != "pylos"}
    for kind, value in document.items():
        if kind not in KINDS:
            home = None if isinstance(value, dict) else home_of(kind)
            hint = home or did_you_mean(kind, TOP, choices("kind", KINDS))
            report.add("P103", (kind,), "unknown kind of table", hint=hint, part="key")
        elif not isinstance(value, dict):
            report.add("P104", (kind,), not_named(kind, value), part="key")
        elif kind == "pylos":
            if (kind,) in report.spoiled:
                continue
            tables["pylos"] = Reader(report, (kind,), value, settled.get((kind,))).read(*KINDS[kind])
        else:
            tables[kind] = named_tables(kind, value, report, settled)
    return Document(**{kind: found for kind, found in tables.items() if found is not None})


def not_named(kind: str, value: object) -> str:
    """Tell what stands where tables were expected."""
    return f"must be {'a table' if kind == 'pylos' else f'tables with names, [{kind}.NAME]'}, not {described(value)}"


def named_tables(kind: str, tables: Mapping[str, Any], report: Report, settled: Settled) -> dict[str, Table]:
    """Read all tables of a kind."""
    loose = [name for name, value in tables.items() if not isinstance(value, dict)]
    for name in loose[:1]:  # `[route]` without a name: every key of it would be the same mistake again
        hint = f"give the table a name: [{kind}.NAME]"
        report.add("P104", (kind, name), f"must be a table, not {described(tables[name])}", hint=hint, part="key")
    found = {}
    for name in tables.keys() - set(loose):
        path, value = (kind, name), tables[name]
        if path in report.spoiled:
            continue
        if not NAME.fullmatch(name):
            hint = "a name has letters, digits, `_` and `-`, and at most 64 of them"
            report.add("P104", path, f"`{name}` cannot be a name", hint=hint, part="key")
        if path == NO_NAME:
            hint = 'give it another name: `sni = "strict"` of a listener would mean both'
            report.add("P104", path, f"`{name}` cannot be a name", hint=hint, part="key")
        model = policy_model(value, path, report) if kind == "policy" else KINDS[kind][0]
        table = Reader(report, path, value, settled.get(path)).read(model) if model else None
        if table is not None:
            found[name] = table
    return {name: found[name] for name in sorted(found)}


def policy_model(value: Mapping[str, Any], path: KeyPath, report: Report) -> type[Table] | None:
    """Choose the model by `type`."""
    kind = value.get("type")
    if isinstance(kind, str) and kind in POLICIES:
        return POLICIES[kind]
    types = choices("type", POLICIES)
    if isinstance(kind, str):
        report.add(
            "P106", (*path, "type"), f"unknown type of policy `{kind}`", hint=did_you_mean(kind, POLICIES, types)
        )
    elif kind is not None:
        report.add("P104", (*path, "type"), f"must be a string, not {described(kind)}")
    elif "type" not in [closest(key, ["type"]) for key in value]:
        report.add("P105", path, "`type` is missing", hint=types, part="key")
    else:
        misspelled = next(key for key in value if closest(key, ["type"]))
        report.add("P102", (*path, misspelled), "unknown key", hint="did you mean `type`?", part="key")
    return None


class Reader:
    """Reads one table, again and again without what was wrong with it."""

    def __init__(
        self, report: Report, path: KeyPath, value: Mapping[str, Any], settled: set[KeyPath] | None = None
    ) -> None:
        self._report = report
        self._path = path
        self._value = value
        self._own = False
        """Whether the value is a copy, from which keys may be taken."""
        self._settled: set[KeyPath] = set(settled or ())
        """Keys that were wrong or are what another was probably meant to be: that they are missing is no news."""
        self._strange: set[KeyPath] = set()
        """Tables with an unknown key that is like no other: it is what is missing there."""
        self._holed: set[KeyPath] = set()
        """Lists of which entries have been taken out, and not yet closed."""

    def read(self, model: type[Table]) -> Table | None:
        """Give the table without its wrong keys, or None where it means nothing without them."""
        while True:
            try:
                return model.model_validate(self._value)
            except ValidationError as error:
                errors = ordered(error)
            if not self.prune_all([self.note(model, one) for one in errors]):
                return None

    def read_keys(self, model: type[Table]) -> dict[str, Any]:
        """Give the keys that are not wrong, of a table that has only some of those it would need."""
        while True:
            try:
                model.model_validate(self._value)
            except ValidationError as error:
                about_keys = [one for one in ordered(error) if one["loc"] and not is_lacking(one)]
            else:
                about_keys = []
            if not self.prune_all([self.note(model, one) for one in about_keys]):
                lacking = {one["loc"][0] for one in about_keys}
                return {key: value for key, value in self._value.items() if key not in lacking}

    def prune_all(self, wrong: list[KeyPath | None]) -> bool:
        """Take wrong keys out; whether there were any."""
        if not self._own:
            self._value, self._own = copy.deepcopy(dict(self._value)), True
        pruned = [self.prune(path) for path in wrong if path is not None]
        while self._holed:
            self.close(max(self._holed, key=len))
        return any(pruned)

    def note(self, model: type[Table], error: ErrorDetails) -> KeyPath | None:
        """Report an error; give the path of what to read without, None when a key of the table itself is missing."""
        path = key_path(error, self._value)
        written = self.written(path)
        match error["type"]:
            case "extra_forbidden":
                return self.note_unknown(model, path)
            case "missing":
                if written not in self._settled and not (path[:-1] and written[:-1] in self._strange):
                    self._report.add("P105", self._path + written[:-1], f"`{path[-1]}` is missing", part="key")
                return path[:-1] or None
            case "P105" | "P108" | "P114" as code:
                return self.note_contradiction(model, code, path, error)
            case "P109" | "P122" | "P124" as code:
                self._report.add(code, self._path + written, message_of(error), hint=hint_of(error))
            case _:
                self._report.add("P104", self._path + written, message_of(error), hint=hint_of(error))
        return path

    def note_unknown(self, model: type[Table], path: KeyPath) -> KeyPath:
        """Report an unknown key, and remember which it was probably meant to be."""
        *table, key = self.written(path)
        known = keys_of(model, table)
        home = model_at(model, table).elsewhere.get(str(key)) or (None if table else home_of(str(key)))
        meant = None if home else closest(str(key), known)
        if meant is not None:
            self._settled.add((*table, meant))
        elif home is None:
            self._strange.add(tuple(table))
        else:  # what it says belongs to a key that is here
            self._settled.update((*table, name) for name in re.findall(r"`(\w+)`", home) if name in known)
        hint = home or (f"did you mean `{meant}`?" if meant else self.later(table, str(key)) or choices("key", known))
        self._report.add("P102", (*self._path, *table, key), "unknown key", hint=hint, part="key")
        return path

    def later(self, table: list[str | int], key: str) -> str | None:
        """Give the key of later versions that was probably meant."""
        kind = str(self._path[1] if self._path[0] == "defaults" else self._path[0])
        place = (kind, *("*" if isinstance(step, int) else step for step in table))
        meant = closest(key, KEYS[place].names) if place in KEYS else None
        return f"did you mean `{meant}`? It is not in this version of Pylos" if meant else None

    def note_contradiction(self, model: type[Table], code: str, path: KeyPath, error: ErrorDetails) -> KeyPath | None:
        """Report what is wrong with a table as a whole, at the first of its keys that is there.

        It is no news where one of these keys was wrong, or, with no keys, anything in the table.
        """
        keys, written = error["ctx"]["keys"], self.written(path)
        gone = [settled[len(path)] for settled in self._settled if settled[:-1] == written]
        if set(gone) & set(keys) or (gone and not keys):
            return None
        table = self.at(path)
        present = next((key for key in keys if key in table), None)
        where = path if present is None else (*path, present)
        self._report.add(code, self._path + self.written(where), error["msg"], hint=hint_of(error), part="key")
        if present and model_at(model, list(path)) is Secret:
            return path  # a part of a secret is none
        return None if present is None else where

    def written(self, path: KeyPath) -> KeyPath:
        """Give the path, from the table on, that something has in the document."""
        return self._report.written(self._path + path)[len(self._path) :]

    def at(self, path: KeyPath) -> Any:  # noqa: ANN401 - any part of a document
        """Give a part of the table."""
        value: Any = self._value
        for step in path:
            value = value[step]
        return value

    def prune(self, path: KeyPath) -> bool:
        """Take a wrong key or entry out; whether it was there. What is missing with it is no news."""
        lists = [path[:index] for index, step in enumerate(path) if isinstance(step, int)]
        self._settled.update(map(self.written, [path, *lists]))
        inside: Any = self._value
        for step in path[:-1]:
            if not holds(inside, step):
                return False
            inside = inside[step]
        if not path or not holds(inside, path[-1]):
            return False
        if isinstance(inside, list):  # the places of the others count until all have been found
            inside[int(path[-1])] = GONE
            self._holed.add(path[:-1])
        else:
            del inside[path[-1]]
        return True

    def close(self, path: KeyPath) -> None:
        """Let the entries that are left of a list move up; a list of which none is left goes too."""
        self._holed.discard(path)
        entries = self.at(path)
        left = [index for index, entry in enumerate(entries) if entry is not GONE]
        full = self._path + self.written(path)
        before = self._report.kept.get(full) or range(len(entries))
        self._report.kept[full] = [before[index] for index in left]
        entries[:] = [entries[index] for index in left]
        if not left:
            self.prune(path)


GONE = object()
"""In the place of an entry that was wrong."""


def ordered(error: ValidationError) -> list[ErrorDetails]:
    """List errors, unknown keys first: they say which missing keys are not missing but misspelled."""
    return sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")


def is_lacking(error: ErrorDetails) -> bool:
    """Whether an error is that a key of the table itself is missing."""
    return error["type"] == "missing" and len(error["loc"]) == 1


def home_of(key: str) -> str | None:
    """Say where a key belongs that stands in another table."""
    if key == "include":
        return "`include` stands at the top of the file, before the first table"
    kinds = [kind for kind, models in KINDS.items() if any(key in keys_of(model, []) for model in models)]
    if len(kinds) != 1 or kinds == ["policy"]:
        return None
    return f"`{key}` is a key of {'[pylos]' if kinds == ['pylos'] else f'[{kinds[0]}.NAME]'}"


def keys_of(model: type[Table], path: list[str | int]) -> list[str]:
    """Give the keys of the table at `path` inside of a model."""
    return [field.alias or name for name, field in model_at(model, path).model_fields.items()]


def model_at(model: type[Table], path: list[str | int]) -> type[Table]:
    """Give the model of the table at `path` inside of a model."""
    hint: Any = model
    for step in path:
        if isinstance(step, str):
            values = get_args(hint)[1:] if get_origin(hint) is dict else ()  # names there are the user's own
            hint = values[0] if values else model.model_fields[field_of(model, step)].annotation
            model = next(iter(tables_in(hint)), model)
    return model


def field_of(model: type[Table], key: str) -> str:
    """Give the field that a key is kept in."""
    return next(name for name, field in model.model_fields.items() if key in (name, field.alias))


def tables_in(annotation: Any) -> list[type[Table]]:  # noqa: ANN401 - a type, as typing spells it
    """Find the models in a type such as `list[Annotated[str | Target, ...]] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return [annotation]
    return [table for argument in getattr(annotation, "__args__", ()) for table in tables_in(argument)]
