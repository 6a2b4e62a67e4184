"""One run of the load generator, and what it counted."""

import re
import subprocess
from dataclasses import dataclass

from bench.job import BENCH, Load
from bench.process import BenchError, pinned

TIMEOUT = "20s"
SUMMARY = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h)\b", re.MULTILINE)
P99 = re.compile(r"^\s*99%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Count:
    """What was answered, all of it well."""

    requests: int
    seconds: float
    p99_ms: float
    """99 of 100 answers took no longer."""


def run(load: Load, port: int, seconds: int, cpus: tuple[int, ...]) -> Count:
    script = [] if load.script is None else ["-s", str(BENCH / "lua" / load.script)]
    command = ["wrk", "--latency", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", TIMEOUT, *script]
    done = subprocess.run(
        [*pinned(cpus), *command, f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BenchError(f"wrk ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(output: str) -> Count:
    """Read the summary. A failed request must not count as a cheap one: any error spoils the run."""
    summary = SUMMARY.search(output)
    slow = P99.search(output)
    if summary is None or slow is None:
        raise BenchError(f"wrk said nothing that can be understood:\n{output}")
    errors = SOCKET_ERRORS.search(output)
    bad = BAD_STATUS.search(output)
    if bad or (errors and any(int(group) for group in errors.groups())):
        raise BenchError(f"requests failed under load:\n{output}")
    if int(summary[1]) == 0:
        raise BenchError(f"no request was answered:\n{output}")
    p99_ms = float(slow[1]) * SECONDS[slow[2]] * 1000
    return Count(int(summary[1]), float(summary[2]) * SECONDS[summary[3]], p99_ms)
