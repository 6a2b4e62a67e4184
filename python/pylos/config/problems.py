"""Collecting what is wrong: each problem once, at its place, in the order of the file, with a hint where one helps."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Any, Literal, Protocol

from pydantic_core import ErrorDetails

from pylos.config.codes import MANUALS
from pylos.errors import KeyPath, Place, Problem, Severity
from pylos.model.base import is_branch

Part = Literal["key", "value"]

WARNINGS = frozenset(code for code, manual in MANUALS.items() if manual.severity == "warning")
"""The codes of warnings; all others are errors."""


class Places(Protocol):
    """Knows where the parts of a document were written."""

    def place(self, path: KeyPath, part: Part) -> Place:
        """Find a key or its value."""
        ...


class Report:
    """The problems of one document."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.inherited: dict[KeyPath, KeyPath] = {}
        """Keys that an object has from a default, by their paths, and where the default stands."""
        self.kept: dict[KeyPath, list[int]] = {}
        """Lists that are read without their wrong entries: which entries of the document are left."""
        self._spoiled: set[KeyPath] = set()
        self._problems: dict[tuple[str, KeyPath, str], Problem] = {}

    def add(  # noqa: PLR0913 - a problem has these parts
        self,
        code: str,
        path: KeyPath,
        message: str,
        *,
        hint: str | None = None,
        part: Part = "value",
        severity: Severity = "error",
        also: Iterable[tuple[KeyPath, str]] = (),
        files: Iterable[tuple[Place, str]] = (),
    ) -> None:
        """Note a problem, unless it is known. One with what a default says is the default's, and told once.

        `also` are further tables that it is about, `files` places in other files, each with a few words.
        """
        path = self.origin(path)
        if path in self._spoiled:
            return
        others = (*((self.places.place(other, "key"), words) for other, words in also), *files)
        place = self.places.place(path, part)
        if hint is None and message.endswith(", not a string") and "${" in place.marked:
            hint = "what a variable holds is text: it cannot stand here"
        self.note(Problem(code, severity, path, message, hint, place, others))

    def origin(self, path: KeyPath) -> KeyPath:
        """Give the place of the default that something is from, else its own."""
        return (*self.inherited[path[:3]], *path[3:]) if path[:3] in self.inherited else path

    def written(self, path: KeyPath) -> KeyPath:
        """Give the path that something has in the document, from that in what is read of it."""
        found: KeyPath = ()
        for step in path:
            left = self.kept.get(self.origin(found)) if isinstance(step, int) else None
            found = (*found, step if left is None else left[int(step)])
        return found

    def note(self, problem: Problem) -> None:
        """Note a problem whose place is known."""
        self._problems.setdefault((problem.code, problem.path, problem.message), problem)

    def spoil(self, path: KeyPath) -> None:
        """Say no more about a value that is known not to be what was meant, nor about a list's entry that has it."""
        self._spoiled.add(path)
        if len(path) > 1 and isinstance(path[-2], int):
            self._spoiled.add(path[:-1])

    @property
    def problems(self) -> list[Problem]:
        """Everything that was noted, in the order of the file."""
        return sorted(self._problems.values(), key=lambda problem: problem.place.order)

    def without(self, silenced: Callable[[Problem], bool]) -> list[Problem]:
        """Give everything but the warnings that are not to be told."""
        return [one for one in self.problems if one.severity == "error" or not silenced(one)]

    @property
    def wrong(self) -> bool:
        """Whether there is more than warnings."""
        return bool(self.errors)

    @property
    def errors(self) -> set[KeyPath]:
        """The places about which more than a warning was noted."""
        return {problem.path for problem in self._problems.values() if problem.severity == "error"}

    @property
    def spoiled(self) -> frozenset[KeyPath]:
        """The values about which no more is said."""
        return frozenset(self._spoiled)

    @property
    def paths(self) -> set[KeyPath]:
        """The places about which something was noted."""
        return {path for _, path, _ in self._problems}

    @property
    def tables(self) -> set[KeyPath]:
        """The kinds, tables and their keys about which, or about anything in which, something was noted."""
        return {path[:length] for _, path, _ in self._problems for length in (1, 2, 3)}


def did_you_mean(name: str, names: Iterable[str], otherwise: str | None = None) -> str | None:
    """Make a hint of the name that was probably meant."""
    meant = closest(name, names)
    return f"did you mean `{meant}`?" if meant is not None else otherwise


def closest(name: str, names: Iterable[str]) -> str | None:
    """Find the name that was probably meant."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=LIKENESS)
    return by_lower[found[0]] if found else None


LIKENESS = 0.64
"""How alike two names are of which one may have been meant: `wbe` and `web`, not `store` and `upstream`."""


def listed(names: Iterable[str]) -> str:
    """Write names as "a, b and c", the first few of very many."""
    *first, last = [str(name) for name in names]
    if len(first) >= MOST_NAMES:
        first, last = first[:MOST_NAMES], f"{len(first) + 1 - MOST_NAMES} more"
    return f"{', '.join(first)} and {last}" if first else last


def choices(what: str, names: Iterable[str]) -> str:
    """Say which keys, kinds or others there are."""
    names = list(names)
    return f"the only {what} is {names[0]}" if len(names) == 1 else f"{what}s are {listed(names)}"


MOST_NAMES = 30


def key_path(error: ErrorDetails, value: Any) -> KeyPath:  # noqa: ANN401 - any part of a document
    """Give the path of an error in `value` as the document has it, without the names of branches."""
    path: list[str | int] = []
    for step in error["loc"]:
        if is_branch(step) and not holds(value, step):
            continue
        path.append(step)
        value = value[step] if holds(value, step) else None
    return tuple(path)


def holds(value: object, step: str | int) -> bool:
    """Whether a part of a document goes on at `step`."""
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def message_of(error: ErrorDetails) -> str:
    """Say in the words of the configuration what pydantic found."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in EXPECTED:
        return f"must be {EXPECTED[kind]}, not {described(error['input'])}"
    if kind in BOUNDS:
        return BOUNDS[kind].format_map(context)
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", '"')
    if kind in MANUALS and "message" not in context:  # a union of shapes
        return f"{error['msg']}, not {described(error['input'])}"
    return error["msg"]


def hint_of(error: ErrorDetails) -> str | None:
    """Give the hint that a validator left, or the value that was probably meant."""
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return did_you_mean(error["input"], re.findall(r"'([^']*)'", context["expected"]))
    return context.get("hint")


EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a table",
    "string_type": "a string",
}
BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def described(value: object) -> str:
    """Name what a value is."""
    for shape, name in SHAPES.items():
        if isinstance(value, shape):
            return name
    return f"a {type(value).__name__}"


SHAPES: dict[type | tuple[type, ...], str] = {
    type(None): "null",
    bool: "a boolean",  # before int, which a boolean is too
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "a list",
    dict: "a table",
    (date, time): "a date or time",
}
