"""A client that only shakes hands, OpenSSL's own: one connection after the other, each without a former session."""

import re
import subprocess

from bench.process import BenchError, pinned

SUMMARY = re.compile(r"^(\d+) connections in (\d+) real seconds", re.MULTILINE)


def run(port: int, seconds: int, cpus: tuple[int, ...]) -> int:
    """Give how many handshakes there were."""
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(seconds)]
    done = subprocess.run(
        [*pinned(cpus), *command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    summary = SUMMARY.search(done.stdout)
    if done.returncode != 0 or summary is None or int(summary[1]) == 0:
        raise BenchError(f"openssl s_time ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return int(summary[1])
