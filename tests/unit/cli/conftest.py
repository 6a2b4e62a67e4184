import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pylos.cli import app

sys.path.append(str(Path(__file__).resolve().parents[1]))
"""Documents that several folders of tests begin with lie above."""


@pytest.fixture
def pylos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    return lambda *arguments, **more: CliRunner().invoke(app, arguments, **more)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], str]:
    """Write the default configuration file; gives its name."""

    def write(document: str | bytes) -> str:
        (tmp_path / "pylos.toml").write_bytes(document.encode() if isinstance(document, str) else document)
        return "pylos.toml"

    return write
