"""HAProxy as a TCP proxy: it understands nothing of what it passes on, so it is the floor."""

from bench.job import Job, Site
from bench.peers import haproxy
from bench.process import Process

NAME = "HAProxy, TCP mode"
FORWARDS_FIELDS = False


def version() -> str | None:
    return haproxy.version()


def start(job: Job, site: Site) -> Process:
    return haproxy.start_with("haproxy_tcp.cfg", job, site, {})
