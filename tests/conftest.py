"""What all tests share."""

import sys
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `probes` and for what `system` has beside its tests
sys.path.append(str(Path(__file__).parents[1]))  # for `soak`
NUMBERS = count()


@pytest.fixture(autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a test's own gateways; it is not there until one makes it."""
    path = tmp_path_factory.getbasetemp() / "state" / str(next(NUMBERS))
    monkeypatch.setenv("STATE_DIRECTORY", str(path))
    return path
