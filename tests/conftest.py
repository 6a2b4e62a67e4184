"""What all tests share."""

import sys
from itertools import count
from pathlib import Path

import pytest

from pylos.supervisor.runtime import ALONE

sys.path.insert(0, str(Path(__file__).parent))  # for `probes` and for what `system` has beside its tests
sys.path.append(str(Path(__file__).parents[1]))  # for `soak`
NUMBERS = count()


@pytest.fixture(autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a test's own gateways; it is not there until one makes it."""
    path = tmp_path_factory.getbasetemp() / "state" / str(next(NUMBERS))
    monkeypatch.setenv("STATE_DIRECTORY", str(path))
    return path


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a test's own control sockets: neither it nor what it starts finds other gateways of the machine."""
    path = tmp_path_factory.mktemp("run")
    monkeypatch.setenv(ALONE, str(path))
    return path
