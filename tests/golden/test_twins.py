"""A file and its twin in Python are the same document: those beside this file, and all examples that have both."""

import runpy
from pathlib import Path

import pytest
from certificates import golden_documents

from pylos.config import load

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"


def twins() -> list[tuple[Path, Path]]:
    """Files and the Python beside them: NAME.toml and NAME.py, in an example pylos.toml and gateway.py."""
    golden = [(file, file.with_suffix(".py")) for file in sorted((HERE / "lower").glob("*.toml"))]
    examples = [(file, file.with_name("gateway.py")) for file in sorted(EXAMPLES.glob("*/pylos.toml"))]
    return golden + [(file, twin) for file, twin in examples if twin.exists()]


@pytest.mark.parametrize("file, twin", twins(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_twin_is_the_same_document(file, twin, tmp_path, monkeypatch):
    if file.parent.name == "lower":
        golden_documents(tmp_path)
        monkeypatch.chdir(tmp_path)
        file, twin = tmp_path / file.name, tmp_path / twin.name
    made = load(runpy.run_path(str(twin))["config"])

    assert made.table == load(file).table
    assert made.config == load(file).config
    assert made.acme == load(file).acme
