"""Half a minute of `make soak`: everything that it does, and everything that it looks at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 20
"""Of chaos. Warming up and calming down take about as long."""


@pytest.mark.timeout(280)
def test_a_short_soak(tmp_path: Path):
    command = [sys.executable, "-m", "soak", "--seconds", str(SECONDS), "--every", "0.5", "--folder", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=270, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
