"""A proxy in Python (asyncio_proxy.py, on uvloop and httptools): what the data plane would cost in Python."""

import subprocess
from pathlib import Path

from bench import process
from bench.job import Job, Site
from bench.peers import installed
from bench.peers.templates import FOLDER
from bench.process import BenchError, Process

NAME = "asyncio + uvloop"
FORWARDS_FIELDS = True
VERSIONS = """
import platform, uvloop
from importlib.metadata import version
print(f"Python {platform.python_version()}, uvloop {version('uvloop')}, httptools {version('httptools')}")
"""


def version() -> str | None:
    python = installed.program("python")
    if python is None:
        return None
    done = subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def start(job: Job, site: Site) -> Process:
    if job.workers != 1:
        raise BenchError(f"{NAME} is one event loop, not {job.workers}")
    python = installed.required(installed.program("python"))
    command: list[str | Path] = [python, FOLDER / "asyncio_proxy.py", str(site.port), str(site.backend_port)]
    return process.start(NAME, command, site)
