"""HAProxy, from Debian, as an HTTP proxy."""

import re
import shutil
import subprocess

from bench import process
from bench.job import CERTIFICATE, KEY, Job, Site
from bench.peers.templates import fill
from bench.process import Process

NAME = "HAProxy"
FORWARDS_FIELDS = True


def version() -> str | None:
    if shutil.which("haproxy") is None:
        return None
    said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d[\d.]*)", said)
    return found[1] if found else said.strip()


def start(job: Job, site: Site) -> Process:
    # It cannot write a file itself: its log goes to standard output, which is a file here, one write a line.
    more = {"ACCESS_LOG": "log global\n    option httplog" if job.access_log else "", "TLS": "", "SCHEME": "http"}
    if site.tls:
        # It wants both in one file.
        both = site.write("both.pem", (site.folder / CERTIFICATE).read_text() + (site.folder / KEY).read_text())
        more |= {"TLS": f"ssl crt {both} alpn http/1.1", "SCHEME": "https"}
    return start_with("haproxy.cfg", job, site, more)


def start_with(template: str, job: Job, site: Site, more: dict[str, str]) -> Process:
    values = {"WORKERS": job.workers, "CONNECTIONS": job.connections, "BACKEND": site.backend_port, "PORT": site.port}
    config = site.write(template, fill(template, {**values, **more}))
    return process.start(NAME, ["haproxy", "-db", "-f", config], site)
