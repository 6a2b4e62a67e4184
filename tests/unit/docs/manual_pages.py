"""The project's Markdown pages and the blocks in them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
GENERATED = {"docs/bench.md", "docs/probes.md"}
"""Written by the benchmark and by the probes; the first is there only after a run."""

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/errors/*.md", "examples/*.md", "examples/*/*.md", "bench/*.md")
    for path in ROOT.glob(pattern)
    if path.relative_to(ROOT).as_posix() not in GENERATED
)
FENCE = re.compile(r"^```(?P<info>[^`\n]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: `language` is the first word behind the fence, `marks` are the others."""

    place: str
    language: str
    marks: list[str]
    text: str


def blocks(language: str, mark: str = "") -> list[Block]:
    """Give all blocks of a language with this first mark ("": those without any, "*": all)."""
    found = (block for path in PAGES for block in blocks_of(path) if block.language == language)
    return [block for block in found if mark == "*" or block.marks[:1] == ([mark] if mark else [])]


def blocks_of(path: Path) -> Iterator[Block]:
    """Give the blocks of a page."""
    page = path.read_text()
    for fence in FENCE.finditer(page):
        language, *marks = fence["info"].split()
        line = page.count("\n", 0, fence.start()) + 1
        yield Block(f"{path.relative_to(ROOT)}:{line}", language, marks, fence["text"])


def rows(path: str) -> list[list[str]]:
    """Give the rows of all tables of a page, cell by cell, without their heads."""
    lines = (ROOT / path).read_text().splitlines()
    body = [
        line
        for line, after in itertools.pairwise([*lines, ""])
        if line.startswith("|") and not RULE.fullmatch(line) and not RULE.fullmatch(after)
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in body]


RULE = re.compile(r"\|[-:| ]+\|")
"""The line below a table's head."""


def anchors(path: Path) -> set[str]:
    """Give the anchors of a page's headings."""
    page = FENCE.sub("", path.read_text())
    heads = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def code(cell: str) -> str | None:
    """Give what a cell has between backticks, if it is that alone."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found[1] if found else None
