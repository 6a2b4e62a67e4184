"""The programs the benchmark needs: looked for, and installed from Debian where that is possible."""

import os
import re
import shutil
import subprocess

from bench.process import BenchError

PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "strace": "strace", "taskset": "util-linux"}


def ensure() -> None:
    if not (missing := [program for program in PACKAGES if shutil.which(program) is None]):
        return
    packages = [PACKAGES[program] for program in missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchError(f"missing: {', '.join(missing)}. Install: {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", "-qq", *words], env=env, check=False).returncode != 0:
            raise BenchError(f"apt-get {words[0]} failed; missing: {', '.join(missing)}")


def wrk_version() -> str:
    # wrk ends with 1 after it has told its version.
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"wrk (?:debian/)?(\S+)", said)
    return found[1] if found else "unknown"
