import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_it_names_the_program_that_printed_it(pylos):
    unit = parsed(pylos("unit").stdout)
    program = unit["Service"]["ExecStart"].split()[0]

    assert Path(program).parent == Path(sys.executable).parent
    assert unit["Service"]["ExecReload"] == f"{program} reload"


def test_it_says_what_the_supervisor_says_and_keeps(pylos):
    service = parsed(pylos("unit").stdout)["Service"]

    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 30, "longer than a drain"
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert (service["StateDirectoryMode"], service["RuntimeDirectoryMode"]) == ("0700", "0700")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_it(pylos, tmp_path):
    (tmp_path / "pylos.service").write_text(pylos("unit").stdout)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "pylos.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, [line for line in done.stderr.splitlines() if "pylos.service" in line]) == (0, [])


def parsed(text: str) -> configparser.ConfigParser:
    """A unit without keys that it names twice."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    return unit
