"""Configurations with mistakes, and all that `pylos check` says about each: one folder a case.

A case is `gateway.toml` (or `.json`, `.py`), the files that it includes, and `expected.txt`. Certificates that it names
are made of what `made.json` says: by name, for how many days they hold. After a change that is
meant: `PYTEST_GOLDEN_UPDATE=1 pytest tests/golden/test_wrong.py`, and read the difference. Such a run fails for each
text that it has written anew, so that none is changed unseen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from certificates import issue
from typer.testing import CliRunner

from pylos.cli import app
from pylos.config.codes import MANUALS

HERE = Path(__file__).parent
FOLDER = HERE / "wrong"
CASES = sorted({path.parent for path in FOLDER.glob("*/gateway.*")})
EXPECTED = "expected.txt"
MADE = "made.json"
HEAD = re.compile(
    r"^(?P<severity>error|warning)\[(?P<code>P\d{3})\]: (?P<message>.*)\n"
    r" *--> (?P<file>[^\s:]+)(:(?P<line>\d+))?(:(?P<column>\d+))?$",
    re.MULTILINE,
)
"""How each problem begins."""


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_what_is_said(case: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    said = check(with_certificates(case, tmp_path), monkeypatch)
    golden = case / EXPECTED

    if os.environ.get("PYTEST_GOLDEN_UPDATE") and (not golden.exists() or said != golden.read_text(encoding="utf-8")):
        golden.write_text(said, encoding="utf-8")
        pytest.fail(f"{golden.relative_to(HERE)} has been written anew: read the difference")
    assert said.splitlines() == golden.read_text(encoding="utf-8").splitlines()


def with_certificates(case: Path, folder: Path) -> Path:
    """Give the folder of a case; one with certificates is copied, and they are made."""
    if not (case / MADE).exists():
        return case
    shutil.copytree(case, folder, dirs_exist_ok=True)
    for name, days in json.loads((case / MADE).read_text()).items():
        issue(f"{name}.example.com", days=days, since=30).save(folder, name)
    return folder


MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC")


def check(case: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the command in the folder of a case."""
    (file,) = case.glob("gateway.*")
    monkeypatch.chdir(case)
    for name in list(os.environ):
        if name.startswith("GOLDEN_UNSET_"):
            monkeypatch.delenv(name)
    done = CliRunner().invoke(app, ["check", "-c", file.name])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == int("error" in {head["severity"] for head in HEAD.finditer(done.output)})
    return MOMENT.sub("MOMENT", done.output.replace(f"{case}/", ""))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_each_is_said_once_and_in_the_order_of_the_file(case: Path):
    said = (case / EXPECTED).read_text(encoding="utf-8")
    heads = list(HEAD.finditer(said))
    places = [(head["file"], int(head["line"] or 0), int(head["column"] or 0)) for head in heads]

    assert [text for text, count in Counter(head[0] for head in heads).items() if count > 1] == []
    assert places == sorted(places)
    assert len(re.findall(r"^(?:error|warning)\[", said, re.MULTILINE)) == len(heads)


@pytest.mark.parametrize(
    "case, mistakes",
    [
        ("consequences_of_a_condition", 3),
        ("consequences_of_a_key", 3),
        ("consequences_of_a_key_policy", 2),
        ("consequences_of_a_match", 3),
        ("consequences_of_a_policy", 3),
        ("consequences_of_a_priority", 1),
        ("consequences_of_a_size", 2),
        ("consequences_of_a_wrong_list", 1),
        ("consequences_of_an_upstream", 2),
        ("many_mistakes", 19),
    ],
)
def test_one_mistake_is_one_error(case: str, mistakes: int):
    """The texts of the cases are what is said; this is how much ought to be said."""
    said = (FOLDER / case / EXPECTED).read_text(encoding="utf-8")

    assert len(list(HEAD.finditer(said))) == mistakes


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_nothing_is_said_that_a_terminal_obeys(case: Path):
    said = (case / EXPECTED).read_text(encoding="utf-8")

    assert [line for line in said.splitlines() if any(map(is_control, line))] == []


def is_control(character: str) -> bool:
    return character != "\t" and unicodedata.category(character) in ("Cc", "Cf")


def test_every_code_has_a_case():
    texts = [(case / EXPECTED).read_text(encoding="utf-8") for case in CASES]
    told = {head["code"] for text in texts for head in HEAD.finditer(text)}

    assert told == MANUALS.keys()
