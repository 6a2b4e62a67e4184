"""Users' policies are typed: mypy finds nothing in those of the examples, as strict as it can be."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
MODULES = sorted(EXAMPLES.glob("*/policies.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.parent.name)
def test_it_type_checks(module: Path, tmp_path_factory: pytest.TempPathFactory):
    cache = tmp_path_factory.getbasetemp() / "mypy"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", str(module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_there_are_some():
    assert len(MODULES) >= 5
