"""From a configuration to a gateway that uses it: open sockets, hand over, then take it or leave the old one."""

from __future__ import annotations

from typing import Any

from pylos.errors import ConfigError
from pylos.supervisor.process import GatewayProcess
from pylos.supervisor.sockets import Prepared, Sockets
from pylos.supervisor.source import Checked


class Applier:
    """Knows the configuration in use. A change that fails anywhere leaves it, and the sockets, as they were."""

    def __init__(self, sockets: Sockets) -> None:
        self.generation = 0
        """Number of the configuration in use; 0 before the first."""
        self.checked = Checked({})
        self.listen: dict[str, list[str]] = {}
        """The real addresses of each listener."""
        self._sockets = sockets
        self._prepared = Prepared({})

    async def change(self, checked: Checked, process: GatewayProcess | None) -> None:
        """Put a configuration into use. Without a process (between two) it is taken once it has passed the checks.

        Raises ConfigError, BindError or GatewayError.
        """
        prepared = self._sockets.prepare(checked.table)
        generation = self.generation + 1
        try:
            if process is not None:
                await _hand_over(process, generation, prepared, checked)
        except BaseException:
            prepared.discard()
            raise
        self._sockets.commit(prepared)
        self.generation, self.checked, self.listen, self._prepared = generation, checked, prepared.listen, prepared

    def keeps(self, checked: Checked) -> bool:
        """Whether a configuration is the one in use. If so, what its reader says beside it (warnings) is taken over."""
        same = self.generation > 0 and checked.document == self.checked.document
        if same:
            self.checked = checked
        return same

    async def restore(self, process: GatewayProcess) -> None:
        """Give the configuration in use to a new process."""
        await _hand_over(process, self.generation, self._prepared, self.checked)

    @property
    def table(self) -> dict[str, Any]:
        """The table in use, every bind replaced by the real address of its socket."""
        return self._prepared.table

    @property
    def drain_seconds(self) -> float:
        """How long requests in flight may take when everything ends."""
        return float(self.checked.table["pylos"]["drain_ms"]) / 1000


async def _hand_over(process: GatewayProcess, generation: int, prepared: Prepared, checked: Checked) -> None:
    problems = await process.apply(generation, prepared.table, prepared.sockets)
    if problems:
        raise ConfigError(checked.problems(problems))
