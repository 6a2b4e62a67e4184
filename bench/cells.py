"""What can be measured: named cells, and groups of them."""

from dataclasses import dataclass, field, replace
from typing import Literal

from bench.job import NUISANCES, TOGETHER, Contestant, Job, Load, Nuisance

Kind = Literal["cpu", "syscalls", "rest", "idle", "handshakes", "calls", "p99"]

CORE_PEERS = ("nginx", "haproxy", "pylos")
ALL_PEERS = ("nginx", "haproxy", "haproxy-tcp", "envoy", "caddy", "asyncio", "pylos")
UNITS: dict[Kind, str] = {
    "cpu": "us",
    "syscalls": "calls",
    "rest": "MiB",
    "idle": "B",
    "handshakes": "us",
    "calls": "us",
    "p99": "ms",
}


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a block of the table."""

    name: str
    title: str
    """As the table names it."""
    kind: Kind
    contestants: tuple[Contestant, ...]
    load: Load = field(default_factory=Load)

    @property
    def unit(self) -> str:
        return UNITS[self.kind]


def of(peers: tuple[str, ...], job: Job | None = None) -> tuple[Contestant, ...]:
    return tuple(Contestant(peer, job=job or Job()) for peer in peers)


def _load_cells() -> list[Cell]:
    """Each kind of request at each number of connections, with the three proxies that matter most."""
    kinds = {
        "small-1h": ("small body, 1 header", Load()),
        "small-13h": ("small body, 13 headers", Load(script="browser.lua")),
        "10k": ("10 KB, 1 header", Load("/10k")),
        "100k": ("100 KB, 1 header", Load("/100k")),
        "1m": ("1 MB, 1 header", Load("/1m")),
    }
    return [
        Cell(
            f"{name}-c{connections}",
            f"CPU per request, {title}, {connections} connection{'s' if connections > 1 else ''}",
            "cpu",
            of(CORE_PEERS),
            Load(load.path, connections, load.script),
        )
        for connections in (64, 1, 256)
        for name, (title, load) in kinds.items()
    ]


def _field_cells() -> list[Cell]:
    """Compare the whole field in one run, with the floor (TCP mode) and a proxy in Python."""
    kinds = {
        "field-small-1h": ("small body, 1 header", Load()),
        "field-small-13h": ("small body, 13 headers", Load(script="browser.lua")),
        "field-100k": ("100 KB, 1 header", Load("/100k")),
    }
    return [
        Cell(name, f"CPU per request, all peers, {title}, 64 connections", "cpu", of(ALL_PEERS), load)
        for name, (title, load) in kinds.items()
    ]


def _other_cells() -> list[Cell]:
    log = "CPU per request with the access log on, small body, 13 headers, 64 connections"
    many = Job(connections=9400)
    full = Job(routes=1000, access_log=True, metrics=True)
    return [
        Cell("log", log, "cpu", of(CORE_PEERS, Job(access_log=True)), Load(script="browser.lua")),
        Cell("syscalls", "system calls per request, small body, 1 header, 64 connections", "syscalls", of(CORE_PEERS)),
        Cell("rest", "resident memory at rest", "rest", of(CORE_PEERS)),
        Cell(
            "idle",
            "memory per idle connection (9,000 kept, one request each)",
            "idle",
            of(CORE_PEERS, many),
            Load(connections=9000),
        ),
        Cell(
            "routes",
            "CPU per request, requests to 1,000 paths, 64 connections",
            "cpu",
            (
                Contestant("pylos", "1 route"),
                Contestant("pylos", "1,000 routes, access log, metrics", job=full, base="pylos, 1 route"),
            ),
            Load("/service-0500/orders/7", script="routes.lua"),
        ),
        Cell(
            "workers",
            "CPU per request, two workers on both cores, small body, 1 header, 64 connections",
            "cpu",
            tuple(contestant for peer in CORE_PEERS for contestant in _one_and_two_workers(peer)),
        ),
    ]


def _tls_cells() -> list[Cell]:
    """TLS 1.3 with one certificate, its key on P-256."""
    tls = Job(tls=True, connections=4000)
    return [
        Cell(
            "tls-small-1h-c64",
            "CPU per request by TLS, small body, 1 header, 64 connections",
            "cpu",
            of(CORE_PEERS, tls),
            Load(tls=True),
        ),
        Cell("tls-handshakes", "CPU per full handshake, ECDSA on P-256", "handshakes", of(CORE_PEERS, tls)),
        Cell(
            "tls-idle",
            "memory per idle connection by TLS (3,000 kept, one request each)",
            "idle",
            of(CORE_PEERS, tls),
            Load(connections=3000),
        ),
    ]


def _policy_cells() -> list[Cell]:
    """Compare what it costs to meet a policy: gateway and lane share one core, load and backend the other."""
    none = Contestant("pylos", "no policy")
    kinds = {"def": "a `def` that does nothing", "async def": "an `async def` that does nothing"}
    kinds |= {"remembered": "a decision that is remembered", "limit": "a limit of rate"}
    met = [Contestant("pylos", note, Job(policy=name), base=none.key) for name, note in kinds.items()]
    return [
        Cell(
            f"policies-c{connections}",
            f"CPU per request that meets a policy, small body, 1 header, {connections} connections",
            "cpu",
            (none, *met),
            Load(connections=connections),
        )
        for connections in (16, 64)
    ]


def _lane_cells() -> list[Cell]:
    """Measure lanes alone, and what they do to others."""
    one = Contestant("pylos", "one lane")
    two = Contestant("pylos", "two lanes on one core", Job(lanes=2), base=one.key)
    calls = "CPU per call of a `def` that does nothing, driver and lanes, no sockets, 64 in flight"
    return [
        Cell("calls", calls, "calls", (one, two)),
        *(_disturbed(function, what) for function, what in NUISANCES.items()),
        _disturbed("sleeps_a_moment", "sleeps 50 ms in a lane of its own", Job(policy="def")),
    ]


def _disturbed(function: str, what: str, job: Job | None = None) -> Cell:
    """How long others wait beside a policy that misbehaves, and beside a process on the same core that does the same.

    With a policy of their own, against an idle machine: then nothing is to be noticed.
    """
    others = "other routes" if job is None else "a policy that does nothing"
    job = replace(job or Job(), beside=function)
    none = Contestant("pylos", f"beside a process that {what}", job, nuisance=Nuisance(function, is_policy=False))
    if job.policy is not None:
        none = Contestant("pylos", "alone", job)
    beside = f"beside a policy that {what}"
    it = Contestant("pylos", beside, job, nuisance=Nuisance(function, is_policy=True), base=none.key)
    title = f"99th percentile of {others}, {beside}, 16 connections"
    return Cell(f"beside-{function.replace('_', '-')}", title, "p99", (none, it), Load(connections=16))


def _one_and_two_workers(peer: str) -> tuple[Contestant, Contestant]:
    one = Contestant(peer, "1 worker")
    return one, Contestant(peer, "2 workers", job=Job(workers=2), placement=TOGETHER, base=one.key)


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in [*_load_cells(), *_field_cells(), *_other_cells(), *_tls_cells(), *_policy_cells(), *_lane_cells()]
}

CORE = ("small-1h-c64", "small-13h-c64", "100k-c64")
GROUPS: dict[str, tuple[str, ...]] = {
    "core": CORE,
    "sizes": ("10k-c64", "1m-c64"),
    "c1": tuple(name for name in CELLS if name.endswith("-c1")),
    "c256": tuple(name for name in CELLS if name.endswith("-c256")),
    "field": tuple(name for name in CELLS if name.startswith("field-")),
    "memory": ("rest", "idle"),
    "budget": (*CORE, "syscalls", "idle", "routes", "workers"),
    "tls": tuple(name for name in CELLS if name.startswith("tls-")),
    "policies": ("policies-c16", "policies-c64"),
    "lanes": ("calls", *(name for name in CELLS if name.startswith("beside-"))),
    "all": tuple(CELLS),
}


def choose(words: list[str]) -> list[Cell]:
    """Cells by their own or their groups' names, each once, in the order of CELLS. KeyError: no such name."""
    names = {name for word in words for name in GROUPS.get(word, (word,))}
    if unknown := sorted(names - CELLS.keys()):
        raise KeyError(", ".join(unknown))
    return [cell for name, cell in CELLS.items() if name in names]
