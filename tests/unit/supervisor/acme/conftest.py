"""Tests are no package: what several of them use lies here beside them."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from keeping import Authorities, FullDisk


@pytest.fixture
def authorities(monkeypatch: pytest.MonkeyPatch) -> Authorities:
    return Authorities(monkeypatch)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)
