"""Calls to lanes without a gateway and without sockets: the example program lane_driver asks, lane.py answers."""

import subprocess
from dataclasses import dataclass

from bench.job import BENCH, ROOT, Contestant
from bench.peers import pylos
from bench.process import BenchError, pinned

PROGRAM = ROOT / "target" / "release" / "examples" / "lane_driver"
NS_PER_US = 1000


@dataclass(frozen=True)
class Calls:
    """What a run came to; CPU times are of one call."""

    cpu_us: float
    """Of driver and lanes."""
    lanes_us: float
    per_second: float


def run(contestant: Contestant, in_flight: int, seconds: int) -> Calls:
    """Have the lanes share the CPU of the load, and the driver have the proxy's. Raises BenchError."""
    placement = contestant.placement
    lane = [*pinned(placement.load), str(pylos.python()), str(BENCH / "lane.py"), "passes"]
    words = [str(PROGRAM), str(contestant.job.lanes), str(in_flight), str(seconds), *lane]
    done = subprocess.run([*pinned(placement.proxy), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the driver of lanes ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(output: str) -> Calls:
    """Read calls, seconds, and nanoseconds of CPU in driver and lanes."""
    calls, seconds, driver, lanes = map(float, output.split())
    return Calls((driver + lanes) / calls / NS_PER_US, lanes / calls / NS_PER_US, calls / seconds)
