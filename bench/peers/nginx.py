"""nginx, from Debian."""

import re
import shutil
import subprocess

from bench import process
from bench.job import CERTIFICATE, KEY, Job, Site
from bench.peers.templates import fill
from bench.process import Process

NAME = "nginx"
TLS = f"""\
ssl_certificate {{folder}}/{CERTIFICATE};
        ssl_certificate_key {{folder}}/{KEY};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:sessions:10m;"""
FORWARDS_FIELDS = True


def version() -> str | None:
    if shutil.which("nginx") is None:
        return None
    # nginx writes it to stderr.
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"nginx/(\S+)", said)
    return found[1] if found else said.strip()


def start(job: Job, site: Site) -> Process:
    values = {
        "WORKERS": job.workers,
        # It begins to close idle connections when fewer than one in sixteen is free.
        "CONNECTIONS": job.connections * 5 // 4,
        "FOLDER": site.folder,
        # As its manual advises for a busy server: 64 KB at a time, and once a second.
        "ACCESS_LOG": f"{site.folder}/access.log json buffer=64k flush=1s" if job.access_log else "off",
        "BACKEND": site.backend_port,
        "PORT": site.port,
        "TLS": "ssl" if site.tls else "",
        "CERTIFICATE": TLS.format(folder=site.folder) if site.tls else "",
    }
    config = site.write("nginx.conf", fill("nginx.conf", values))
    return process.start(NAME, ["nginx", "-p", site.folder, "-c", config], site)
