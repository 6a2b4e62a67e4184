"""The server behind every proxy: nginx with a small body and three files."""

from bench import process
from bench.job import Site
from bench.peers.templates import fill
from bench.process import Process

FILES = {"10k": 10_240, "100k": 102_400, "1m": 1_048_576}


def start(site: Site) -> Process:
    for name, size in FILES.items():
        (site.folder / name).write_bytes(b"0123456789abcdef" * (size // 16))
    config = site.write("backend.conf", fill("backend.conf", {"PORT": site.port, "FOLDER": site.folder}))
    return process.start("backend", ["nginx", "-p", site.folder, "-c", config], site)
