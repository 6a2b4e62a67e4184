"""`include = ["conf.d/*.toml"]`: further files of the same document.

A pattern starts at the folder of the file that has it. One without a wildcard must name a file; one with a wildcard may
find nothing in a folder that is there, and never finds the file that it stands in. A file is read once, however many
patterns find it; one that includes one of those through which it was reached is a mistake, and so is a table that two
files have.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pylos.config.parse import parse
from pylos.config.problems import Part, described
from pylos.config.variables import Variables
from pylos.contents import Held, NoFileError, is_folder, note, read
from pylos.errors import ConfigError, KeyPath, Place, Problem

KEY = "include"
MOST_BYTES = 1 << 40
"""Of an included file: all."""


class Findable(Protocol):
    """Knows where the parts of one file or of one call were written."""

    def place(self, path: KeyPath, part: Part) -> Place:
        """Find a key or its value."""
        ...

    def token(self, path: KeyPath, text: str, index: int) -> Place:
        """Find a variable in a string."""
        ...


@dataclass
class Gathered:
    """One document of several files, which also knows where its parts stand."""

    environ: Mapping[str, str]
    document: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spoiled: set[KeyPath] = field(default_factory=set)
    """Values with variables that could not be replaced."""
    watch: list[Path] = field(default_factory=list)
    """The files, and the folders in which patterns look."""
    held: Held = field(default_factory=dict)
    """Digests of what those held when they were read, or before they were looked through."""
    missing: bool = False
    """A file could not be read, so that all that it holds is missing."""
    owners: dict[KeyPath, Findable] = field(default_factory=dict)
    """Who has a table, and whose kinds those are; `()` is the first of all."""
    seen: set[str] = field(default_factory=set)

    def place(self, path: KeyPath, part: Part) -> Place:
        """Find a key or its value, in whichever file it stands."""
        owner = self.owners.get(path[:2]) or self.owners.get(path[:1]) or self.owners[()]
        return owner.place(path, part)

    def file(self, path: Path, text: str, name: str, chain: tuple[Path, ...] = ()) -> None:
        """Take in a file and all that it includes. Raises ConfigError where it is neither TOML nor JSON."""
        self.seen.add(real(path))
        document, places = parse(text, name)
        self.part(document, places, path, chain)

    def part(self, document: Mapping[str, Any], places: Findable, path: Path, chain: tuple[Path, ...]) -> None:
        """Take in what one file says, then what it includes."""
        self.owners.setdefault((), places)
        document = self.with_variables(document, places)
        self.refuse_nulls(document, (), places)
        include = document.pop(KEY, [])
        unset = {path for path in self.spoiled if path[0] == KEY}
        self.spoiled -= unset  # every file has an include of its own
        for kind, tables in document.items():
            self.take(kind, tables, places)
        if not isinstance(include, list):
            self.wrong("P104", (KEY,), f"must be a list of strings, not {described(include)}", places)
            return
        for index, pattern in enumerate(include):
            if (KEY, index) in unset:
                self.missing = True
            elif isinstance(pattern, str):
                self.include(pattern, (KEY, index), places, (*chain, path))
            else:
                self.wrong("P104", (KEY, index), f"must be a string, not {described(pattern)}", places)

    def with_variables(self, document: Mapping[str, Any], places: Findable) -> dict[str, Any]:
        """Replace the variables in one file's part."""

        def failed(path: KeyPath, text: str, index: int, message: str, hint: str | None) -> None:
            self.spoiled.add(path)
            self.problems.append(Problem("P111", "error", path, message, hint, places.token(path, text, index)))

        replaced: dict[str, Any] = Variables(self.environ, failed).replaced(dict(document), ())
        return replaced

    def refuse_nulls(self, value: Any, path: KeyPath, places: Findable) -> None:  # noqa: ANN401 - any part of it
        """Report every null, but for those in values that are sent as they are."""
        if value is None:
            self.spoiled.add(path)
            message, hint = "is null, and a configuration has no null", "leave the key out"
            self.problems.append(Problem("P104", "error", path, message, hint, places.place(path, "value")))
        if path[2:4] == ("respond", "json") or path[2:4] == ("as", "claims"):
            return
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, one in inner:
            self.refuse_nulls(one, (*path, step), places)

    def take(self, kind: str, tables: Any, places: Findable) -> None:  # noqa: ANN401 - whatever stands there
        """Take in all tables of a kind; the first file that has one keeps it."""
        known = self.document.get(kind)
        if known is None:
            self.owners[kind,] = places
            self.document[kind] = dict(tables) if isinstance(tables, dict) and kind != "pylos" else tables
            known = {}
        elif kind == "pylos" or not isinstance(known, dict) or not isinstance(tables, dict):
            self.twice((kind,), places)
            return
        for name in tables if isinstance(tables, dict) and kind != "pylos" else ():
            if name in known:
                self.twice((kind, name), places)
            else:
                self.owners[kind, name] = places
                self.document[kind][name] = tables[name]

    def twice(self, path: KeyPath, places: Findable) -> None:
        """Report a table that another file has too."""
        first, again = self.place(path, "key"), places.place(path, "key")
        message, hint = f"stands in {first} already", "one file has the whole of a table"
        self.problems.append(Problem("P113", "error", path, message, hint, again, ((first, "here first"),)))

    def wrong(self, code: str, path: KeyPath, message: str, places: Findable, hint: str | None = None) -> None:
        """Report what is wrong in one file."""
        part: Part = "value" if path[:1] == (KEY,) else "key"
        self.problems.append(Problem(code, "error", path, message, hint, places.place(path, part)))

    def include(self, pattern: str, at: KeyPath, places: Findable, chain: tuple[Path, ...]) -> None:
        """Take in the files that a pattern finds."""
        if "\0" in pattern:
            self.missing = True
            self.wrong("P112", at, "no file can have this name", places)
            return
        folder = chain[-1].parent
        if glob.has_magic(pattern):
            start = folder / folder_of(Path(pattern))
            searched = [start, *folders_searched(folder, pattern)]
            self.watch += searched
            note(searched, self.held)
            if not is_folder(start):
                self.missing = True
                hint = "a pattern may find nothing, but in a folder that is there"
                self.wrong("P112", at, f"there is no folder `{start}`", places, hint)
                return
            found = [path for path in matches(folder, pattern) if real(path) != real(chain[-1])]
        else:
            found = [folder / pattern]
        for path in found:
            if real(path) in map(real, chain):
                self.missing = True
                way = " -> ".join(str(step) for step in (*chain, path))
                self.wrong("P112", at, f"`{path}` includes itself: {way}", places)
            elif real(path) not in self.seen:
                self.included(path, at, places, chain)

    def included(self, path: Path, at: KeyPath, places: Findable, chain: tuple[Path, ...]) -> None:
        """Take in one included file."""
        self.seen.add(real(path))
        self.watch.append(path)
        try:
            self.file(path, read(path, MOST_BYTES, self.held).decode("utf-8-sig"), str(path), chain)
        except NoFileError:  # a pipe would be waited for
            self.wrong("P112", at, f"`{path}` is no file", places)
        except OSError as error:
            self.wrong("P112", at, f"`{path}` cannot be read: {error.strerror}", places)
        except UnicodeDecodeError:
            self.wrong("P112", at, f"`{path}` is not UTF-8", places)
        except ConfigError as error:
            self.problems += error.problems
        else:
            return
        self.missing = True


def matches(folder: Path, pattern: str) -> Iterator[Path]:
    """List the files that a pattern finds, by name. Brackets in the folder's own name are no wildcards."""
    whole = str(Path(glob.escape(str(folder))) / pattern)
    found = sorted(glob.glob(whole, recursive=True))  # noqa: PTH207 - Path.glob has no absolute patterns
    yield from (path for path in map(Path, found) if not is_folder(path))


def folders_searched(folder: Path, pattern: str) -> list[Path]:
    """List the folders that the wildcards of a pattern find on its way: a file may come to be in any of them."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    whole = Path(glob.escape(str(folder)))
    ways = (str(whole / Path(*parts[:length])) for length in range(first + 1, len(parts)))
    found = {path for way in ways for path in glob.glob(way, recursive=True)}  # noqa: PTH207 - as below
    return [path for path in map(Path, sorted(found)) if is_folder(path)]


def folder_of(pattern: Path) -> Path:
    """Give the last folder before the first wildcard."""
    parts = pattern.parts
    plain = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:plain]) if plain else Path()


def real(path: Path) -> str:
    """Give what two paths have in common when they are one file."""
    return os.path.realpath(path)
