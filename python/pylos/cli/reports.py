"""Problems in the forms of code hosts, which show them beside the lines of a change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from pylos._core import version
from pylos.config.codes import MANUALS
from pylos.errors import Place, Problem, spelled


def relative(file: str) -> str:
    """Name a file from here, as code hosts want it; one elsewhere keeps its name."""
    path = os.path.relpath(file)
    return file if path.startswith("..") else path


# -- GitHub ------------------------------------------------------------------------------------------------------------


def github(problems: Sequence[Problem]) -> list[str]:
    """Write workflow commands, a line each."""
    return [github_command(problem) for problem in problems]


def github_command(problem: Problem) -> str:
    """Write one `::error file=...,line=...::message`."""
    place = problem.place
    properties: dict[str, object] = {"file": relative(place.file)}
    if place.line:
        properties["line"] = place.line
    if place.column:
        properties |= {"col": place.column, "endColumn": place.end_column}
    properties["title"] = problem.code
    told = ",".join(f"{name}={escaped(str(value), ':,')}" for name, value in properties.items())
    message = "\n".join(filter(None, [problem.sentence, problem.hint]))
    return f"::{problem.severity} {told}::{escaped(message)}"


def escaped(text: str, further: str = "") -> str:
    """Write a text of a workflow command: `%`, line ends and, in properties, `:` and `,` as `%XX`."""
    return "".join(f"%{ord(one):02X}" if one in "%\r\n" + further else one for one in text)


# -- GitLab ------------------------------------------------------------------------------------------------------------


def gitlab(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Give a report in GitLab's Code Quality format."""
    return [
        {
            "description": problem.sentence + (f" ({problem.hint})" if problem.hint else ""),
            "check_name": problem.code,
            "fingerprint": fingerprint(problem),
            "severity": "major" if problem.severity == "error" else "minor",
            "location": {
                "path": relative(problem.place.file),
                "lines": {"begin": max(1, problem.place.line)},
            },
        }
        for problem in problems
    ]


def fingerprint(problem: Problem) -> str:
    """Give what stays of a problem when only lines above it change."""
    parts = (problem.code, relative(problem.place.file), spelled(problem.path), problem.message)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# -- SARIF -------------------------------------------------------------------------------------------------------------


def sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """Give a log in SARIF 2.1.0, the OASIS format for results of analyses."""
    codes = sorted({problem.code for problem in problems})
    rules = [
        {"id": code, "shortDescription": {"text": MANUALS[code].title}, "help": {"text": MANUALS[code].page()}}
        for code in codes
        if code in MANUALS
    ]
    driver = {"name": "pylos", "version": version(), "rules": rules}
    results = [sarif_result(problem) for problem in problems]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def sarif_result(problem: Problem) -> dict[str, Any]:
    """Give one result."""
    related = [{**sarif_location(place), "message": {"text": label}} for place, label in problem.also]
    return {
        "ruleId": problem.code,
        "level": problem.severity,
        "message": {"text": problem.sentence + (f" ({problem.hint})" if problem.hint else "")},
        "locations": [sarif_location(problem.place)],
        "relatedLocations": related,
        "partialFingerprints": {"pylos/v1": fingerprint(problem)},
    }


def sarif_location(place: Place) -> dict[str, Any]:
    """Give a place."""
    physical: dict[str, Any] = {"artifactLocation": {"uri": relative(place.file).replace(os.sep, "/")}}
    if place.line:
        physical["region"] = {"startLine": place.line}
    if place.column:
        physical["region"] |= {"startColumn": place.column, "endColumn": place.end_column}
    return {"physicalLocation": physical}
