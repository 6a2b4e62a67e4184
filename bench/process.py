"""Start a process on given CPUs, wait until it answers, end it and its children by pid."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import procfs
from bench.job import Site

START_DEADLINE = 20.0
STOP_DEADLINE = 5.0


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


@dataclass(frozen=True)
class Process:
    """A process that the benchmark started; `stop` ends it."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        return procfs.tree(self.popen.pid)

    def move_to(self, cpus: tuple[int, ...]) -> None:
        for pid in self.pids():
            os.sched_setaffinity(pid, cpus)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left of this very tree."""
        family = {pid: procfs.start_time(pid) for pid in self.pids()}
        self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_DEADLINE)
        for pid, started in family.items():
            # The start time guards against a pid that the kernel gave to someone else meanwhile.
            if started is not None and procfs.start_time(pid) == started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.popen.wait(STOP_DEADLINE)

    def fail(self, why: str) -> BenchError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return BenchError(f"{self.name}: {why}\n{tail}".rstrip())


def start(
    name: str,
    command: Sequence[str | Path],
    site: Site,
    *,
    env: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
) -> Process:
    """Children inherit the CPUs. Output goes to a file in the site's folder."""
    log = site.folder / "output.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [*pinned(site.cpus), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=site.folder,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
            # Ctrl-C reaches the benchmark alone, which then ends what it started.
            start_new_session=True,
        )
    return Process(name, popen, log)


def pinned(cpus: tuple[int, ...]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, cpus))]


def wait_until_answering(process: Process, port: int, *, tls: bool = False) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if process.popen.poll() is not None:
            raise process.fail(f"ended with {process.popen.returncode} before it answered")
        with suppress(OSError, http.client.HTTPException):
            status, _ = get(port, "/", tls=tls)
            if status == http.client.OK:
                return
        time.sleep(0.05)
    raise process.fail(f"did not answer within {START_DEADLINE:.0f} s")


def wait_until_begun(process: Process) -> None:
    """Wait until it says so."""
    deadline = time.monotonic() + START_DEADLINE
    while b"begun\n" not in process.log.read_bytes():
        if process.popen.poll() is not None or time.monotonic() > deadline:
            raise process.fail("did not begin")
        time.sleep(0.05)


def get(port: int, path: str, *, tls: bool = False) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=believing())
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def believing() -> ssl.SSLContext:
    """Give what a client has that believes whoever answers: here it is known who that is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all held at once, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
