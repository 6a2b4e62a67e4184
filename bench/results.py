"""Measured cells as JSON files, one a cell: the dated parts from which the table is made."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.job import BENCH, Contestant

FOLDER = BENCH / "results"


@dataclass(frozen=True)
class Row:
    """One contestant's figures, as measured."""

    key: str
    peer: str
    note: str
    base: str | None
    values: list[float]
    """One a run; the table shows their median and extremes."""
    user: float | None = None
    """User CPU time per request, us."""
    per_second: list[float] | None = None
    foreign: float | None = None
    """The largest share of CPU time that others took in any of its runs."""
    detail: str = ""

    @classmethod
    def of(cls, contestant: Contestant, values: list[float]) -> "Row":
        return cls(contestant.key, contestant.peer, contestant.note, contestant.base, values)

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass(frozen=True)
class Result:
    """One cell, measured in one run."""

    cell: str
    measured: str
    """When, "2026-11-25 14:03 UTC"."""
    machine: str
    versions: dict[str, str]
    """By peer; and of wrk."""
    rows: list[Row]
    """Peers that could not be had are absent."""

    def row(self, key: str) -> Row | None:
        return next((row for row in self.rows if row.key == key), None)

    def ratio(self, key: str, other: str) -> float | None:
        """Median to median, or None where one is missing."""
        mine, theirs = self.row(key), self.row(other)
        return mine.median / theirs.median if mine and theirs and theirs.median else None


def store(result: Result, folder: Path = FOLDER) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{result.cell}.json"
    path.write_text(json.dumps(asdict(result), indent=1) + "\n")
    return path


def load(names: Iterable[str], folder: Path = FOLDER) -> dict[str, Result]:
    """Read the stored results of these cells, in this order."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: _parse(path.read_text()) for name, path in paths.items() if path.exists()}


def _parse(text: str) -> Result:
    plain = json.loads(text)
    return Result(**{**plain, "rows": [Row(**row) for row in plain["rows"]]})
