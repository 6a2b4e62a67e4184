"""Problem codes, reasons, metrics, events: what the sources have is what the manual has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import issue
from manual_pages import ROOT, anchors, code, rows

from pylos.config import load, load_text
from pylos.config.codes import MANUALS, Example
from pylos.config.problems import WARNINGS
from pylos.errors import ConfigError, Problem

RUST = sorted((ROOT / "crates" / "proxy" / "src").rglob("*.rs"))
REFUSAL = re.compile(r'Refusal::(?:(malformed)\(|(?:client|upstream|gateway)\(\s*(\d{3}),)\s*"([a-z0-9_]+)"')
DENIED = re.compile(r'Denied \{ status: (\d{3}), reason: "([a-z0-9_]+)" \}')
PANICKED = re.compile(r"HTTP/1\.1 (\d{3}) [^\"]*?pylos-reason: ([a-z0-9_]+)")
RUST_EVENT = re.compile(r'events::(?:info|warn|error)\(\s*(?:if \w+ \{ )?"([a-z_]+)"(?: \} else \{ "([a-z_]+)")?')
PYTHON_EVENT = re.compile(r'(?:(?:log|teller)\.(?:info|warning|error)|\b_?tell)\(\s*"([a-z_]+)"')


def source(path: Path) -> str:
    """A Rust source without its tests."""
    return path.read_text().split("#[cfg(test)]")[0]


def problem_codes() -> set[str]:
    text = (ROOT / "crates" / "core" / "src" / "table" / "problem.rs").read_text()
    python = [path for path in (ROOT / "python" / "pylos").rglob("*.py") if path.parent.name != "codes"]
    found = {found for path in python for found in re.findall(r'"(P1\d\d)"', path.read_text())}
    return found | set(re.findall(r'= "(P\d{3})"', text))


def test_every_problem_code_has_its_page():
    assert MANUALS.keys() == problem_codes()
    assert [code for code in MANUALS if not (ROOT / "docs" / "errors" / f"{code}.md").exists()] == []
    assert [code for code in MANUALS if code.lower() not in anchors(ROOT / "docs" / "errors.md")] == []


def test_the_severities_are_those_of_the_sources():
    text = (ROOT / "crates" / "core" / "src" / "table" / "problem.rs").read_text()
    compiler = dict(re.findall(r'= "(P\d{3})", (Error|Warning);', text))

    assert {code for code, manual in MANUALS.items() if manual.severity == "warning"} == WARNINGS
    warnings = {code for code, severity in compiler.items() if severity == "Warning"}
    assert warnings == {code for code in WARNINGS if code.startswith("P2")}


NO_EXAMPLE = {
    "P100": "a file that cannot be read has no text to show",
}


def test_every_problem_code_has_examples():
    assert {code for code, manual in MANUALS.items() if not (manual.wrong and manual.right)} == NO_EXAMPLE.keys()


SHOWN = [manual for manual in MANUALS.values() if manual.wrong and manual.right]


@pytest.mark.parametrize("manual", SHOWN, ids=lambda manual: manual.code)
def test_the_wrong_example_has_that_problem_and_no_other(manual, tmp_path, monkeypatch):
    problems = problems_of(manual.wrong, tmp_path, monkeypatch)

    assert sorted(problem.code for problem in problems) == sorted((manual.code, *manual.wrong.beside))
    assert {problem.severity for problem in problems if problem.code == manual.code} == {manual.severity}


@pytest.mark.parametrize("manual", SHOWN, ids=lambda manual: manual.code)
def test_the_right_example_has_none(manual, tmp_path, monkeypatch):
    assert [problem.render() for problem in problems_of(manual.right, tmp_path, monkeypatch)] == []


def test_what_an_example_cannot_but_have_beside_its_own_problem_is_of_later_versions():
    beside = {code: manual.wrong.beside for code, manual in MANUALS.items() if manual.wrong and manual.wrong.beside}

    assert beside == {"P115": ("P110",)}  # targets that know no paths


def problems_of(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    monkeypatch.chdir(folder)
    for name, text in {example.name: example.text, **example.files}.items():
        (folder / name).write_text(text)
    for made in example.made:
        issue(f"{made.name}.example.com", days=made.days, since=30).save(folder, made.name)
    try:
        return load(example.name).warnings
    except ConfigError as error:
        return error.problems


def test_the_manual_shows_what_check_prints():
    document = '[listen.http]\nbind = "127.0.0.1:0"\n[upstream.web]\ntargets = ["[::1]:1"]\n[route.site]\n'
    with pytest.raises(ConfigError) as caught:
        load_text(document + 'to = "wbe"\nmatch = "/"\n', "gateway.toml")

    assert f"```text\n{caught.value}\n\n1 error\n```" in (ROOT / "docs" / "errors.md").read_text()


def refusals() -> Iterator[tuple[str, str]]:
    """Reason and status of all refusals in the sources."""
    for path in RUST:
        text = source(path)
        yield from ((reason, status or "400") for _, status, reason in REFUSAL.findall(text))
        yield from ((reason, status) for status, reason in PANICKED.findall(text))
    filters = (ROOT / "crates" / "core" / "src" / "table" / "policy.rs").read_text()
    yield from ((reason, status) for status, reason in DENIED.findall(filters))


def test_every_reason_is_in_the_table_with_its_status():
    table = {(code(row[0]), row[1]) for row in rows("docs/reasons.md") if len(row) == 3}

    assert table == set(refusals())


def test_every_refusal_is_made_in_a_way_that_is_looked_for():
    for path in RUST:
        text = source(path)
        made = len(re.findall(r"Refusal::(?:malformed|client|upstream|gateway)\(", text))
        assert made == len(REFUSAL.findall(text)) + len(re.findall(r"Refusal::client\(denied\.", text)), path


def test_reasons_elsewhere_in_the_manual_exist():
    known = {reason for reason, _ in refusals()}
    told = {code(row[-1]) for row in rows("docs/http1.md")} | {code(row[0]) for row in rows("docs/reasons.md")}

    assert {reason for reason in told if reason and re.fullmatch(r"[a-z]+_[a-z_]+", reason)} <= known


def test_every_metric_is_in_the_table():
    names = set(re.findall(r'"(pylos_[a-z_]+)"', (ROOT / "crates/proxy/src/telemetry/names.rs").read_text()))
    table = {code(row[0]) for row in rows("docs/telemetry.md")}

    assert {name for name in table if name and name.startswith("pylos_")} == names


def test_metrics_elsewhere_in_the_manual_exist():
    names = (ROOT / "crates/proxy/src/telemetry/names.rs").read_text()
    told = {name for path in ROOT.glob("docs/*.md") for name in re.findall(r"\bpylos_[a-z_]+", path.read_text())}

    assert [name for name in sorted(told - KEYS_OF_PYTEST) if f'"{name}"' not in names] == []


KEYS_OF_PYTEST = {"pylos_coverage", "pylos_coverage_floor"}


def test_every_event_is_in_a_table():
    told = set(re.findall(r"`([a-z_]+)`", "\n".join(row[0] for row in rows("docs/telemetry.md"))))
    rust = {name for path in RUST for found in RUST_EVENT.findall(source(path)) for name in found if name}
    python = {
        name
        for path in (ROOT / "python" / "pylos" / "supervisor").rglob("*.py")
        for name in PYTHON_EVENT.findall(path.read_text())
    }

    assert len(rust) > 8
    assert (rust | python) - told == set()


def test_every_field_of_the_access_log_is_in_the_table():
    text = source(ROOT / "crates/proxy/src/telemetry/access_log.rs")
    written = set(re.findall(r'(?:text|number|optional|ms)\(out, "([a-z_]+)"', text)) | {"ts", "client"}
    told = {name for row in rows("docs/telemetry.md") for name in re.findall(r"`([a-z_]+)`", row[0])}

    assert written - told == set()
