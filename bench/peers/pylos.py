"""Pylos, as a user starts it: supervisor, gateway and their children all count."""

import json
import os
import select
import subprocess
import time
from pathlib import Path

from bench import process
from bench.job import BENCH, CERTIFICATE, KEY, ROOT, Job, Site
from bench.process import START_DEADLINE, Process

NAME = "Pylos"
FORWARDS_FIELDS = True
VERSION = "from pylos import _core; print(_core.version())"
POLICIES = {
    "def": 'type = "python"\ncall = "policies:passes"',
    "async def": 'type = "python"\ncall = "policies:passes_later"',
    "remembered": 'type = "python"\ncall = "policies:remembered"',
    "limit": 'type = "rate_limit"\nrate = "1000000000/s"',
}
"""They let everything pass."""
MODULE = BENCH / "policies.py"
SOURCES = ("Cargo.toml", "Cargo.lock", "crates", "python")


def version() -> str | None:
    done = subprocess.run([python(), "-c", VERSION], capture_output=True, text=True, check=False, cwd=ROOT / "bench")
    return f"{done.stdout.strip()} ({_commit()})" if done.returncode == 0 else None


def python() -> Path:
    """PYLOS_PYTHON, else the environment with the release build, else the developers'."""
    if named := os.environ.get("PYLOS_PYTHON"):
        return Path(named)
    release = ROOT / ".venv-bench" / "bin" / "python"
    return release if release.exists() else ROOT / ".venv" / "bin" / "python"


def start(job: Job, site: Site) -> Process:
    config = site.write("pylos.toml", document(job, site))
    site.write("policies.py", MODULE.read_text())
    reader, writer = os.pipe()
    try:
        command: list[str | Path] = [python(), "-m", "pylos", "serve", "-c", config]
        command += ["-n", f"bench-{site.port}", "--ready-fd", str(writer)]
        started = process.start(NAME, command, site, pass_fds=(writer,))
        os.close(writer)
        _wait_until_ready(started, reader)
    finally:
        os.close(reader)
    return started


def _tls() -> str:
    return f'tls = "bench"\n\n[tls.bench]\ncert = "{CERTIFICATE}"\nkey = "{KEY}"\n'


def document(job: Job, site: Site) -> str:
    log = f'{{ path = "{site.folder}/access.log" }}' if job.access_log else "false"
    head = f"""\
[pylos]
version = 1
workers = {job.workers}
access_log = {log}

[listen.http]
bind = "127.0.0.1:{site.port}"
{_tls() if site.tls else ""}
[upstream.backend]
targets = ["http://127.0.0.1:{site.backend_port}"]

[route.all]
match = "/{{rest:path}}"
to = "backend"
"""
    if job.policy is not None:
        head += f'use = ["met"]\n\n[policy.met]\n{POLICIES[job.policy]}\n'
    return (
        head
        + _beside(job.beside)
        + (_metrics(site) if job.metrics else "")
        + "".join(_route(number) for number in range(1, job.routes))
    )


def _beside(function: str | None) -> str:
    if function is None:
        return ""
    return f"""
[policy.bad]
type = "python"
call = "policies:{function}"

[route.bad]
match = "/bad"
silence = ["P213"]
to = "backend"
use = ["bad"]
"""


def _metrics(site: Site) -> str:
    return f"""
[listen.ops]
bind = "127.0.0.1:{site.admin_port}"
serve = ["metrics", "health"]
"""


def _route(number: int) -> str:
    return f"""
[route.service-{number:04}]
match = "/service-{number:04}/{{rest:path}}"
to = "backend"
"""


def _wait_until_ready(started: Process, reader: int) -> None:
    """Read the ready line, which comes when the first configuration is in use."""
    deadline = time.monotonic() + START_DEADLINE
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        piece = os.read(reader, 65536) if select.select([reader], [], [], max(left, 0))[0] else b""
        if not piece:
            started.stop()
            raise started.fail("gave no ready line")
        line += piece
    if "gateway" not in json.loads(line):
        started.stop()
        raise started.fail(f"gave an odd ready line: {line!r}")


def _commit() -> str:
    """Name the commit, with + when the sources differ from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--", *SOURCES) else "")
    except (OSError, subprocess.CalledProcessError):
        return "no commit"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
