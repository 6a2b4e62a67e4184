"""The stage of a measurement: one backend, and proxies in front of it that are checked before they are measured."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import process
from bench.job import APART, BENCH, CERTIFICATE, KEY, WORK, Contestant, Site
from bench.peers import PEERS, backend, pylos
from bench.process import BenchError, Process


@dataclass(frozen=True)
class Proxy:
    """A contestant that runs."""

    contestant: Contestant
    process: Process
    site: Site

    def scrape(self) -> None:
        """With metrics on, somebody reads them."""
        if self.contestant.job.metrics:
            status, _ = process.get(self.site.admin_port, "/metrics")
            if status != http.client.OK:
                raise self.process.fail(f"/metrics answered {status}")


@dataclass(frozen=True)
class Stage:
    """The backend, and the place for proxies in front of it."""

    backend: Process
    port: int
    """Of the backend."""
    folder: Path

    @contextmanager
    def proxy(self, contestant: Contestant, path: str) -> Iterator[Proxy]:
        """Start it, wait for an answer, check that it does the job for `path`; end it afterwards."""
        site = _site(self.folder / contestant.key.replace(" ", "-"), self.port, contestant.placement.proxy)
        if contestant.job.tls:
            site = replace(site, tls=True)
            _make_certificate(site.folder)
        peer = PEERS[contestant.peer]
        started = peer.start(contestant.job, site)
        try:
            process.wait_until_answering(started, site.port, tls=site.tls)
            _check_body(started, site, path)
            if peer.FORWARDS_FIELDS:
                _check_fields(started, site)
            yield Proxy(contestant, started, site)
        finally:
            started.stop()
            shutil.rmtree(site.folder)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Run the backend while the block runs."""
    folder = WORK / "run"
    shutil.rmtree(folder, ignore_errors=True)
    site = _site(folder / "backend", 0, APART.load)
    started = backend.start(site)
    try:
        process.wait_until_answering(started, site.port)
        yield Stage(started, site.port, folder)
    finally:
        started.stop()
        shutil.rmtree(folder)


@contextmanager
def disturbed(proxy: Proxy) -> Iterator[None]:
    """Have the contestant's nuisance go on while the block runs."""
    nuisance = proxy.contestant.nuisance
    if nuisance is None:
        yield
        return
    what, placement = nuisance.function, proxy.contestant.placement
    words = ["client", f"http://127.0.0.1:{proxy.site.port}/bad"] if nuisance.is_policy else ["process", what]
    cpus = placement.load if nuisance.is_policy else placement.proxy
    folder = proxy.site.folder / "nuisance"
    folder.mkdir(exist_ok=True)
    site = replace(proxy.site, folder=folder, cpus=cpus)
    started = process.start("the nuisance", [pylos.python(), BENCH / "nuisance.py", *words], site)
    try:
        process.wait_until_begun(started)
        yield
    finally:
        started.stop()


def _site(folder: Path, backend_port: int, cpus: tuple[int, ...]) -> Site:
    folder.mkdir(parents=True)
    port, admin_port = process.free_ports(2)
    return Site(folder, port, admin_port, backend_port, cpus)


def _make_certificate(folder: Path) -> None:
    """Make what all contestants show: one that signs itself, with a key on P-256."""
    files = ["-keyout", folder / KEY, "-out", folder / CERTIFICATE]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    plain = ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *plain, *files], check=True, capture_output=True)


def _check_body(started: Process, site: Site, path: str) -> None:
    """Refuse a proxy that gives other bytes than the backend itself."""
    if process.get(site.port, path, tls=site.tls) != process.get(site.backend_port, path):
        raise started.fail(f"answers {path} differently from the backend")


def _check_fields(started: Process, site: Site) -> None:
    """Ask the backend what it was told: Host as the client sent it, and the five fields of the job."""
    authority = f"127.0.0.1:{site.port}"
    _, said = process.get(site.port, "/echo", tls=site.tls)
    if problems := field_problems(said.decode(), authority, "https" if site.tls else "http"):
        raise started.fail("does not do the job: " + "; ".join(problems))


def field_problems(echo: str, authority: str, scheme: str = "http") -> list[str]:
    values = echo.splitlines()
    names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Via")
    if len(values) != len(names):
        raise BenchError(f"the backend's echo has {len(values)} lines:\n{echo}")
    said = dict(zip(names, values, strict=True))
    wanted = {"Host": authority, "X-Forwarded-Proto": scheme, "X-Forwarded-Host": authority}
    wrong = [f"{name} is {said[name]!r}, not {value!r}" for name, value in wanted.items() if said[name] != value]
    return wrong + [f"{name} is not set" for name in names if name not in wanted and not said[name]]
