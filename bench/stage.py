"""The stage of a measurement: one backend, and proxies in front of it that are checked before they are measured."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import process
from bench.job import APART, WORK, Contestant, Site
from bench.peers import PEERS, backend
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
    backend: Process
    port: int
    """Of the backend."""
    folder: Path

    @contextmanager
    def proxy(self, contestant: Contestant, path: str) -> Iterator[Proxy]:
        """Started, answering, and found to do the job for `path`; ended afterwards."""
        site = _site(self.folder / contestant.key.replace(" ", "-"), self.port, contestant.placement.proxy)
        peer = PEERS[contestant.peer]
        started = peer.start(contestant.job, site)
        try:
            process.wait_until_answering(started, site.port)
            _check_body(started, site, path)
            if peer.FORWARDS_FIELDS:
                _check_fields(started, site)
            yield Proxy(contestant, started, site)
        finally:
            started.stop()
            shutil.rmtree(site.folder)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """The backend runs while the block does."""
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


def _site(folder: Path, backend_port: int, cpus: tuple[int, ...]) -> Site:
    folder.mkdir(parents=True)
    port, admin_port = process.free_ports(2)
    return Site(folder, port, admin_port, backend_port, cpus)


def _check_body(started: Process, site: Site, path: str) -> None:
    """The same bytes as the backend itself gives."""
    if process.get(site.port, path) != process.get(site.backend_port, path):
        raise started.fail(f"answers {path} differently from the backend")


def _check_fields(started: Process, site: Site) -> None:
    """The backend says what it was told: Host as the client sent it, and the five fields of the job."""
    authority = f"127.0.0.1:{site.port}"
    _, said = process.get(site.port, "/echo")
    if problems := field_problems(said.decode(), authority):
        raise started.fail("does not do the job: " + "; ".join(problems))


def field_problems(echo: str, authority: str) -> list[str]:
    values = echo.splitlines()
    names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Via")
    if len(values) != len(names):
        message = f"the backend's echo has {len(values)} lines:\n{echo}"
        raise BenchError(message)
    said = dict(zip(names, values, strict=True))
    wanted = {"Host": authority, "X-Forwarded-Proto": "http", "X-Forwarded-Host": authority}
    wrong = [f"{name} is {said[name]!r}, not {value!r}" for name, value in wanted.items() if said[name] != value]
    return wrong + [f"{name} is not set" for name in names if name not in wanted and not said[name]]
