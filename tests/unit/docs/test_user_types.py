"""Users' code is typed: mypy and pyright find nothing in the examples and the guide, as strict as they can be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from manual_pages import ROOT, blocks

MODULES = sorted([*ROOT.glob("examples/*/policies.py"), *ROOT.glob("examples/*/gateway.py")])


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it in one folder, each under a name of its own."""
    folder = tmp_path_factory.mktemp("users")
    for module in MODULES:
        (folder / f"{module.parent.name.replace('-', '_')}_{module.name}").write_text(module.read_text())
    for block in blocks("python", "policies"):
        (folder / f"guide_{block.place.rpartition(':')[2]}.py").write_text(block.text)
    return folder


def test_mypy_finds_nothing(code: Path):
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={code / 'cache'}", str(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_pyright_finds_nothing(code: Path):
    (code / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    command = [sys.executable, "-m", "basedpyright", "--project", str(code), "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_they_would_find_something(code: Path, tmp_path: Path):
    """Not all types are taken as they come."""
    (tmp_path / "wrong.py").write_text(
        "from pylos import Request, Response, policy\n@policy\ndef odd(request: Request) -> int:\n    return 1\n"
        "@policy.response\ndef odder(request: Request, response: Response) -> str:\n    return ''\n"
    )
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    told = [
        subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False).stdout
        for command in (
            ["mypy", "--strict", "--config-file=", f"--cache-dir={code / 'cache'}", str(tmp_path / "wrong.py")],
            ["basedpyright", "--project", str(tmp_path), "--pythonpath", sys.executable],
        )
    ]
    assert all("wrong.py:2" in one and "wrong.py:5" in one for one in told), told


def test_there_are_some():
    assert len(MODULES) >= 6
    assert len(blocks("python", "policies")) >= 4
