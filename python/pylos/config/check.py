"""Whether a document is sound: its shape, the names in it, and (by the table's compiler) what it means.

A document with mistakes is checked to the end: what can be read of it is lowered and compiled too, so that all
problems are told at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylos._core import Compiled, compile_table
from pylos.config.acme import check_acme, lower_acme
from pylos.config.compiled import encoded
from pylos.config.defaults import with_defaults
from pylos.config.include import Findable, Gathered
from pylos.config.later import without_later
from pylos.config.lower import file_path, lower, lower_upstream
from pylos.config.material import NOTHING, Material
from pylos.config.pem import Pair
from pylos.config.policies import inspect, touched
from pylos.config.problems import WARNINGS, Part, Report, closest, did_you_mean, listed
from pylos.config.secrets import secrets_of
from pylos.config.shape import shape
from pylos.config.testing import check_given, run_tests
from pylos.contents import Held, note
from pylos.errors import ConfigError, KeyPath, Problem
from pylos.model import Document, Table, Upstream
from pylos.model.acme import LOCAL
from pylos.model.document import KINDS


@dataclass(frozen=True)
class Loaded:
    """A sound configuration."""

    config: Document
    """What the file says, with all defaults."""
    table: dict[str, Any] = field(repr=False)
    """The same in the form that the gateway takes, secrets in plain text."""
    compiled: Compiled = field(repr=False, compare=False)
    """The table as the core has it."""
    warnings: list[Problem]
    watch: list[Path]
    """The files it was read from."""
    secrets: list[list[str | int]] = field(default_factory=list)
    """The places of secrets in the table."""
    folder: Path = field(default_factory=Path)
    """The folder of the configuration, in which its policies in Python are looked for first."""
    pairs: Mapping[str, Sequence[Pair]] = field(default_factory=dict, repr=False, compare=False)
    """The certificates of files, by name of `tls`."""
    held: Mapping[Path, bytes] = field(default_factory=dict, repr=False, compare=False)
    """Digests of what the files held when they were read, or before that."""
    acme: dict[str, Any] = field(default_factory=dict, repr=False)
    """The certificates that come by themselves, and how: see `config/acme.py`."""
    named: dict[str, Any] = field(default_factory=dict, repr=False)
    """Where certificates were read, and how to read them again: see `config/material.py`."""
    material: list[Path] = field(default_factory=list)
    """The files of certificates, keys and lists that it names."""

    @property
    def without(self) -> dict[str, list[str]]:
        """By route, the policies that it leaves out by its `without`: the one way out of those of all."""
        return {name: route["without"] for name, route in self.table["route"].items() if route["without"]}

    @property
    def asking(self) -> dict[str, list[str]]:
        """By route, the policies in Python that its requests meet."""
        return touched(self.routes(), self.table["policy"])

    def routes(self) -> list[dict[str, Any]]:
        """List the routes, in the order in which they are tried: route, methods, host, path, action, to, ..."""
        return self.compiled.routes()

    @property
    def tests(self) -> dict[str, Any]:
        """The [test.*] tables as plain values."""
        tests = self.config.test.items()
        return {name: test.model_dump(mode="json", by_alias=True, exclude_defaults=True) for name, test in tests}

    @property
    def document(self) -> dict[str, Any]:
        """The table, `acme`, the tests and where secrets are: all that two configurations are compared by."""
        return {**self.table, "acme": self.acme, "test": self.tests, "secrets": self.secrets}


def check(document: Mapping[str, Any], places: Findable, watch: list[Path], found: Report | None = None) -> Loaded:
    """Check a document as it was written, with what it includes; raises ConfigError with every problem.

    Those that were `found` before are among them.
    """
    gathered = Gathered(os.environ, watch=list(watch))
    if found is not None:
        gathered.problems += found.problems
        gathered.spoiled |= found.spoiled
    note(watch, gathered.held)
    gathered.part(document, places, Path(places.place((), "key").file), ())
    return check_gathered(gathered)


def check_gathered(gathered: Gathered) -> Loaded:
    """Check what all files of a document say together."""
    if gathered.missing:  # what is missing with a file would only be told as many other mistakes
        told = sorted(gathered.problems, key=lambda problem: problem.place.order)
        raise ConfigError(told, gathered.watch, gathered.held)
    document, report = gathered.document, Report(gathered)
    for problem in gathered.problems:
        report.note(problem)
    for path in gathered.spoiled:
        report.spoil(path)
    present = without_later(document, report)
    full = with_defaults(present, report)
    config = shape(full, report, present.settled)
    check_listeners(full, report)
    check_names(full, document, report)
    check_ways_out(present.document, report)
    check_acme(config, report)
    folder = Path(gathered.place((), "key").file).parent
    inspected = inspect(config, folder, report)
    note([*gathered.watch, *inspected.files], gathered.held)
    material = read_material(config, report, gathered.held)
    table = lower(config, inspected.traits, material)
    acme = lower_acme(config, report)
    secrets = secrets_of(config, table, acme)
    watch = [*gathered.watch, *inspected.files]
    compiled: Compiled | None = None
    if is_wrong_beside_tests(report):
        check_remains(table, full, report)
    else:
        found, compiled = compile_table(encoded(table))
        add_findings(found, full, report)
    silenced = Silenced(config, report)
    if compiled is not None and not is_wrong_beside_tests(report):
        wrong = {path[:2] for path in report.errors}
        tests = {name: test for name, test in config.test.items() if ("test", name) not in wrong}
        check_given(tests, config.policy, report)
        run_tests(tests, compiled, table, secrets, report)
    if compiled is None or report.wrong:
        raise ConfigError(report.without(silenced), [*watch, *material.files], gathered.held)
    return Loaded(
        config,
        table,
        compiled,
        report.without(silenced),
        watch,
        secrets,
        folder,
        material.pairs,
        gathered.held,
        acme,
        {**material.named, "silence": silenced.tables("P123")} if material.named else {},
        list(material.files),
    )


def read_material(config: Document, report: Report, held: Held) -> Material:
    """Read the certificates that a document names, and note what their files held."""
    if not config.tls and not any(upstream.tls for upstream in config.upstream.values()):
        return NOTHING
    from pylos.config import certificates  # noqa: PLC0415 - what it needs takes long to import

    return certificates.read_material(config, report, held)


def is_wrong_beside_tests(report: Report) -> bool:
    """Whether what the gateway would run is wrong: a wrong test keeps no other from being run."""
    return any(path[:1] != ("test",) for path in report.errors)


def check_listeners(document: Mapping[str, Any], report: Report) -> None:
    """Refuse a document that would serve nobody."""
    if not document.get("listen") and "listen" not in misspelled_kinds(document).values():
        hint = 'add [listen.http] with bind = "127.0.0.1:8080"'
        report.add("P105", (), "there is no [listen.NAME]: nothing would be served", hint=hint)


def check_names(document: Mapping[str, Any], written: Mapping[str, Any], report: Report) -> None:
    """Find every name that is not there: `document` uses them, and all that was `written` counts as there."""
    known_by_kind = {kind: names_of(written, kind) for kind in ("listen", "tls", "acme", "upstream", "policy", "route")}
    hints: dict[tuple[str, str], str | None] = {}
    for path, kind, name in references(document):
        known = known_by_kind[kind]
        needs_none = {LOCAL} if path[0] == "tls" else set()
        if name not in known | needs_none:
            if (kind, name) not in hints and len(hints) < MOST_HINTS:
                otherwise = known_ones(known) if known else f"add [{kind}.{name}]"
                hints[kind, name] = did_you_mean(name, known | needs_none, otherwise)
            hint = hints.get((kind, name))
            part: Part = "key" if path[2:3] == ("given",) else "value"
            report.add("P107", path, f"there is no {CALLED.get(kind, kind)} `{name}`", hint=hint, part=part)


CALLED = {"listen": "listener"}
"""What a table of a kind is called, where that is not the kind's own name."""


def known_ones(names: Collection[str]) -> str:
    """Say which names there are."""
    return f"known are {listed(sorted(names))}" if len(names) > 1 else f"the only one is {min(names)}"


MOST_HINTS = 100
"""After so many wrong names it is not looked for which others were meant: that takes as long as there are names."""


def references(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """List all uses of names: where, of which kind, and the name."""
    for kind, key, meant in REFERENCES:
        for path, table in tables_of(document, kind):
            value = table.get(key)
            if isinstance(value, str) and key not in LISTS:
                yield (*path, key), meant, value
            if isinstance(value, list) and key in (*LISTS, *ONE_OR_MANY):
                yield from (((*path, key, index), meant, name) for index, name in enumerate(value) if is_text(name))
    for own, policy in as_table(document.get("policy")).items():
        if as_table(policy).get("type") == "rate_limit":
            yield from givers(("policy", own, "key"), policy.get("key"))
    for path, table in tables_of(document, "test"):
        expect = as_table(table.get("expect"))
        yield from (((*path, "given", name), "policy", name) for name in as_table(table.get("given")))
        for kind in ("route", "upstream"):
            if isinstance(name := expect.get(kind), str):
                yield (*path, "expect", kind), kind, name


def givers(path: KeyPath, key: object) -> Iterator[tuple[KeyPath, str, str]]:
    """List the policies that a limit's key names, a text or a list of texts."""
    words = [((*path, index), word) for index, word in enumerate(key)] if isinstance(key, list) else [(path, key)]
    for place, word in words:
        if isinstance(word, str) and word.startswith(GIVEN):
            yield place, "policy", word.removeprefix(GIVEN)


def tables_of(document: Mapping[str, Any], kind: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """List the tables of a kind that can use names, wherever they have the form of tables at all."""
    tables = as_table(document.get(kind))
    if kind == "pylos":
        yield (kind,), tables
        return
    for name, value in tables.items():
        table = as_table(value)
        if kind != "policy" or table.get("type") == "chain":
            yield (kind, name), table


def check_ways_out(document: Mapping[str, Any], report: Report) -> None:
    """Refuse a route that takes a policy out which it names itself. One that a default names may be taken out."""
    for path, route in tables_of(document, "route"):
        use, without = route.get("use"), route.get("without")
        for index, name in enumerate(without if isinstance(without, list) else ()):
            if isinstance(use, list) and name in use:
                hint = "take the name out of one of the two"
                report.add("P108", (*path, "without", index), f"`{name}` stands in `use` of this route too", hint=hint)


def is_text(value: object) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


REFERENCES = (
    ("pylos", "use", "policy"),
    ("pylos", "require", "policy"),
    ("listen", "use", "policy"),
    ("listen", "tls", "tls"),
    ("tls", "acme", "acme"),
    ("acme", "fallback", "acme"),
    ("policy", "use", "policy"),
    ("route", "use", "policy"),
    ("route", "without", "policy"),
    ("route", "to", "upstream"),
    ("test", "listener", "listen"),
)
LISTS = ("use", "without", "require", "fallback")
ONE_OR_MANY = ("tls",)
"""Keys that are a name or a list of them."""


def names_of(document: Mapping[str, Any], kind: str) -> set[str]:
    """Give the names of a kind, also of those tables that are wrong and of those whose kind is misspelled."""
    kinds = [kind, *(wrong for wrong, meant in misspelled_kinds(document).items() if meant == kind)]
    return {name for spelling in kinds for name in as_table(document.get(spelling))}


def misspelled_kinds(document: Mapping[str, Any]) -> dict[str, str | None]:
    """Give the unknown kinds, and which were probably meant."""
    return {kind: closest(kind, KINDS) for kind in document if kind not in KINDS}


def as_table(value: object) -> Mapping[str, Any]:
    """Give a value that ought to be a table; what is none has no keys."""
    return value if isinstance(value, dict) else {}


def check_remains(table: dict[str, Any], document: Mapping[str, Any], report: Report) -> None:
    """Let the compiler check what could be read, without policies and certificates and with stand-ins for upstreams."""
    without_unread_tls(table)
    policies, upstreams = table["policy"], table["upstream"]
    for kind in (policy["kind"] for policy in policies.values()):
        if kind["type"] == "rate_limit":
            given = {f"{GIVEN}{name}" for name in policies}
            kind["key"] = [word if not word.startswith(GIVEN) or word in given else OWN for word in kind["key"]]
    kinds = [policy["kind"] for policy in policies.values()]
    for user in (table["pylos"], *table["listen"].values(), *kinds, *table["route"].values()):
        for key in user.keys() & LISTS:
            user[key] = [name for name in user[key] if name in policies]
    for route in table["route"].values():
        if route["to"] is not None:
            upstreams.setdefault(route["to"], lower_upstream(STAND_IN))
    # Warnings would be about what is left of the document, not about what was written.
    found, _ = compile_table(encoded(table))
    errors = [one for one in found if one["severity"] == "error"]
    wrong, paths = report.tables, report.paths
    add_findings([one for one in errors if not is_consequence(one, wrong, paths)], document, report)


def without_unread_tls(table: dict[str, Any]) -> None:
    """Take out the `tls` of which the certificates could not be read, and its name wherever it is used."""
    known = table["tls"] = {name: tls for name, tls in table["tls"].items() if tls["certificates"]}
    for listen in table["listen"].values():
        used = listen["tls"]
        listen["tls"] = [name for name in used if name in known]
        if listen["tls_default"] in used and listen["tls_default"] not in known:
            listen["tls_default"] = None
        if not listen["tls"]:
            listen["tls_default"] = None


GIVEN, OWN = "policy.", "client.id"
"""Of a limit's key: the part that a policy gives, and what stands in for one that could not be read."""
LENGTH_TO_KEY = 3
"""Of a path: kind, name, key."""


def is_consequence(finding: Mapping[str, Any], wrong: set[KeyPath], paths: set[KeyPath]) -> bool:
    """Whether something is wrong only because a table that it depends on could not be read whole.

    A policy is missing on a route when one of the lists that bring it was left out; two routes tie when what tells
    them apart was.
    """
    if finding["code"] == "P202":
        routes = {place[1] for place in (finding["path"], *finding["also"])}
        unread = [path[2] for path in wrong if len(path) == LENGTH_TO_KEY and path[0] == "route" and path[1] in routes]
        return any(closest(str(key), ["match", "when", "priority"]) for key in unread)
    if finding["code"] == "P211":  # the default in place of what could not be read does not fit the rest
        table = tuple(finding["path"][:LENGTH_TO_KEY])
        return not paths.isdisjoint({(*table, "line"), (*table, "header")})
    if finding["code"] == "P216" and not wrong.isdisjoint(tuple(place) for place in finding["also"]):
        return True  # by the policy that gives the key
    lists: set[KeyPath] = {("policy",), ("pylos",), ("listen",), ("defaults",), tuple(finding["path"][:2])}
    on_route = finding["code"] == "P212" or (finding["code"] == "P216" and finding["path"][0] == "route")
    return on_route and not lists.isdisjoint(wrong)


class Silenced:
    """Knows which warnings are not to be told: `silence` of the table that they are about."""

    def __init__(self, config: Document, report: Report) -> None:
        self._codes: dict[KeyPath, list[str]] = {}
        for kind in KINDS:
            tables = {(kind,): config.pylos} if kind == "pylos" else self.named(config, kind)
            for path, table in tables.items():
                if codes := getattr(table, "silence", None):
                    self._codes[path] = codes
                    self.check(path, codes, report)
                    default = report.inherited.get((*path, "silence"), ())
                    self._codes[default[:2]] = codes

    def named(self, config: Document, kind: str) -> dict[KeyPath, Table]:
        """List the tables of a kind."""
        return {(kind, name): table for name, table in getattr(config, kind).items()}

    def check(self, path: KeyPath, codes: list[str], report: Report) -> None:
        """Refuse what is no warning."""
        for index, code in enumerate(codes):
            if code not in WARNINGS:
                is_error = re.fullmatch(r"P[12][0-9][0-9]", code) is not None
                message = f"`{code}` is {'an error, and no warning' if is_error else 'no code of a warning'}"
                hint = f"warnings are {listed(sorted(WARNINGS))}"
                hint = f"did you mean `{code.upper()}`?" if code.upper() in WARNINGS else hint
                report.add("P116", report.written((*path, "silence", index)), message, hint=hint)

    def tables(self, code: str) -> list[list[str]]:
        """List the tables about which this warning is not told, as paths; `["pylos"]` stands for all."""
        return [[str(part) for part in path] for path, codes in self._codes.items() if code in codes]

    def __call__(self, problem: Problem) -> bool:
        own, everywhere = self._codes.get(problem.path[:2], []), self._codes.get(("pylos",), [])
        return problem.code in own or problem.code in everywhere


STAND_IN = Upstream.model_validate({"targets": ["127.0.0.1:1"]})


def add_findings(found: Iterable[Mapping[str, Any]], document: Mapping[str, Any], report: Report) -> None:
    """Report what the compiler found, at the places of the document."""
    placed = [(one, document_path(one["path"], document, report)) for one in found]
    unread = {path for one, path in placed if one["code"] == "P201"} | report.spoiled
    for one, path in placed:
        if one["code"] == "P204" and captures_unknown(path, document, unread):
            continue
        part: Part = "key" if len(path) <= 2 or one["of_key"] else "value"  # a table is shown by its name
        also = [document_path(other, document, report) for other in one["also"]]
        others = [(other, f"the other {CALLED.get(str(other[0]), other[0])}") for other in also]
        if path[:3] in report.inherited:
            others.append((path[:2], "has this default"))
        report.add(
            one["code"],
            path,
            one["message"],
            hint=one["hint"],
            part=part,
            severity=one["severity"],
            also=others,
        )


def document_path(path: Iterable[str | int], document: Mapping[str, Any], report: Report) -> KeyPath:
    """Find what stands at a path of the table in the document."""
    return file_path(report.written(tuple(path)), document)


def captures_unknown(path: KeyPath, document: Mapping[str, Any], unread: AbstractSet[KeyPath]) -> bool:
    """Whether no match of a route can be read: then nobody knows what it captures."""
    at = (*path[:2], "match")
    match = document["route"][path[1]].get("match")
    places = {(*at, index) for index in range(len(match))} if isinstance(match, list) else {at}
    return places <= unread or at in unread
