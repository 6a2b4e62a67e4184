"""Links lead somewhere, and tests that are named exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from manual_pages import FENCE, GENERATED, PAGES, ROOT, anchors

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_TEST = re.compile(r"`((?:tests|crates)/[\w/.-]+\.(?:py|rs))(?:::([a-z0-9_]+))?`")


def links(path: Path) -> Iterator[str]:
    page = FENCE.sub("", path.read_text())
    yield from (link for link in LINK.findall(page) if not link.startswith(("http://", "https://")))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path):
    dead = []
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if target.is_relative_to(ROOT) and target.relative_to(ROOT).as_posix() in GENERATED:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_named_tests_exist(path: Path):
    missing = [
        f"{file}::{name}"
        for file, name in NAMED_TEST.findall(path.read_text())
        if not (ROOT / file).exists() or (name and not re.search(rf"\b(def|fn) {name}\(", (ROOT / file).read_text()))
    ]
    assert missing == []
