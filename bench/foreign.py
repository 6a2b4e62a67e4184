"""How much CPU time others took while we measured: the honesty check of each run."""

import resource

from bench import procfs

NS = 1_000_000_000


class Watch:
    """Begins when made; `share` asks what part of all CPU time since then was not spent on the measurement."""

    def __init__(self, pids: list[int]) -> None:
        """`pids` take part and live throughout; children that are waited for meanwhile (wrk) count too."""
        self._pids = [*pids, *procfs.kernel_network_pids()]
        self._before = procfs.machine_time(), self._ours()

    def share(self) -> float:
        machine, ours = procfs.machine_time(), self._ours()
        tick = 1 / procfs.clock_ticks()
        busy = (machine.busy - self._before[0].busy) * tick
        total = (machine.total - self._before[0].total) * tick
        return max(0.0, busy - (ours - self._before[1])) / total if total else 0.0

    def _ours(self) -> float:
        """Seconds."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return procfs.cpu_ns(self._pids) / NS + sum(usage.ru_utime + usage.ru_stime for usage in usages)
