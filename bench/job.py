"""What a proxy is asked to do, where its processes run, and what load it gets. Plain values, no action."""

from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
WORK = BENCH / "work"
CERTIFICATE, KEY = "bench.pem", "bench.key"


@dataclass(frozen=True)
class Job:
    """One job for every peer; each says it in its own configuration."""

    workers: int = 1
    connections: int = 4096
    """How many client connections must be possible."""
    access_log: bool = False
    routes: int = 1
    """Pylos only: the other peers have one route."""
    metrics: bool = False
    """Pylos only: an admin listener with metrics, scraped once in each run."""
    tls: bool = False
    """Clients speak TLS, to a certificate with a key on P-256."""
    lanes: int = 1
    policy: str | None = None
    """Pylos only: the policy that all requests meet, one of those in peers/pylos.py."""
    beside: str | None = None
    """Pylos only: the function in policies.py that requests to /bad meet."""


@dataclass(frozen=True)
class Placement:
    """CPUs of the proxy, and of load and backend."""

    proxy: tuple[int, ...]
    load: tuple[int, ...]


APART = Placement(proxy=(0,), load=(1,))
"""The usual one: the proxy has a core to itself."""

TOGETHER = Placement(proxy=(0, 1), load=(0, 1))
"""For two workers on a machine of two cores: all on both."""


@dataclass(frozen=True)
class Load:
    """What wrk does."""

    path: str = "/"
    connections: int = 64
    script: str | None = None
    """A file in bench/lua."""
    tls: bool = False


@dataclass(frozen=True)
class Nuisance:
    """Something that disturbs the proxy: see nuisance.py."""

    function: str
    """In policies.py."""
    is_policy: bool
    """A client has the proxy call it; else a process on the proxy's CPU does."""


NUISANCES = {"sleeps": "sleeps", "spins": "spins", "leaks": "leaks", "crashes": "dies by a segmentation fault"}
"""How policies misbehave, by their functions in policies.py."""


@dataclass(frozen=True)
class Contestant:
    """One row of a cell: a peer with a job."""

    peer: str
    note: str = ""
    """Tells two rows of one peer apart, "2 workers"."""
    job: Job = field(default_factory=Job)
    placement: Placement = APART
    nuisance: Nuisance | None = None
    """What goes on meanwhile."""
    base: str | None = None
    """Key of the row of the same cell that this one is measured against, besides nginx and HAProxy."""

    @property
    def key(self) -> str:
        return f"{self.peer}, {self.note}" if self.note else self.peer


@dataclass(frozen=True)
class Site:
    """Where one started proxy lives."""

    folder: Path
    port: int
    admin_port: int
    backend_port: int
    cpus: tuple[int, ...]
    tls: bool = False
    """Clients speak TLS on `port`; certificate and key lie in the folder as `CERTIFICATE` and `KEY`."""

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path
