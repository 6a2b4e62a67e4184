"""ARCHITECTURE.md has every dependency, every module of the data plane, and the reason of every long file."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from manual_pages import ROOT, rows

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
LONG_FILE = 600
LONG_FUNCTION = 60
SOURCES = [path for pattern in ("crates/**/*.rs", "python/**/*.py", "tests/**/*.py") for path in ROOT.glob(pattern)]


def told(heading: str) -> set[str]:
    """Give all names in the first cells below a heading, up to the next one of its level."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {name for line in section.splitlines() for name in re.findall(r"`([^`]+)`", FIRST_CELL.match(line)[0])}


FIRST_CELL = re.compile(r"(\|[^|]*)?")


def rust_dependencies() -> set[str]:
    found: set[str] = set()
    for path in [*ROOT.glob("crates/*/Cargo.toml"), ROOT / "fuzz" / "Cargo.toml"]:
        manifest = tomllib.loads(path.read_text())
        found |= manifest.get("dependencies", {}).keys() | manifest.get("dev-dependencies", {}).keys()
    return {name for name in found if not name.startswith("pylos-")}


def python_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return {re.match(r"[\w-]+", one)[0] for one in listed}  # type: ignore[index]


def test_every_dependency_has_its_reason():
    assert told("Dependencies") == rust_dependencies() | python_dependencies()


def test_every_module_of_the_data_plane_says_why_it_is_rust():
    text = (ROOT / "crates" / "proxy" / "src" / "lib.rs").read_text()
    modules = set(re.findall(r"^(?:pub )?mod (\w+);", text, re.MULTILINE))

    assert told("Why these modules are in Rust") - {"crates/proxy"} == modules


def test_what_is_long_has_its_reason():
    section = PAGE.split("\n## What is long, and why\n")[1]
    files = [path for path in SOURCES if len(path.read_text().splitlines()) > LONG_FILE]
    product = [path for path in SOURCES if "tests" not in path.parts]  # a table of cases may be long
    functions = [(path, name) for path in product for name, lines in functions_of(path) if lines > LONG_FUNCTION]

    assert [path for path in files if f"`{path.relative_to(ROOT)}`" not in section] == []
    assert [(path, name) for path, name in functions if f"`{path.relative_to(ROOT)}`, `{name}`" not in section] == []


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Give the functions of a source and their lengths in lines."""
    text = path.read_text()
    if path.suffix == ".py":
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        yield from ((node.name, (node.end_lineno or 0) - node.lineno + 1) for node in nodes)
    else:
        yield from ((found["name"], found[0].count("\n") + 1) for found in RUST_FUNCTION.finditer(text))


RUST_FUNCTION = re.compile(
    r"^(?P<indent> *)(?:pub(?:\(\w+\))? )?(?:const )?(?:async )?fn (?P<name>\w+).*?^(?P=indent)\}$",
    re.DOTALL | re.MULTILINE,
)


def test_the_stages_are_those_of_the_code():
    text = (ROOT / "crates" / "proxy" / "src" / "request" / "mod.rs").read_text()
    modules = re.findall(r"^pub\(crate\) mod (\w+);", text, re.MULTILINE)
    stages = [row[0] for row in rows("ARCHITECTURE.md") if row[-1].removesuffix(".rs`").strip("`") in modules]

    assert stages == ["identify", "guard", "route", "admit", "rewrite", "forward", "respond", "record"]
    assert [module for module in modules if module in stages] == stages
