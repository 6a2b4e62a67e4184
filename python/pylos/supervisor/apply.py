"""From a configuration to a gateway that uses it: open sockets, hand over, then take it or leave the old one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pylos.errors import ConfigError, GatewayError, PylosError
from pylos.supervisor.lanes import Lanes
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
        self._lanes = Lanes()
        self._retired: list[Lanes] = []

    async def change(
        self,
        checked: Checked,
        process: GatewayProcess | None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Put a configuration into use. Without a process (between two) it is taken once it has passed the checks.

        `before` is done when all is ready but the process itself. Raises ConfigError, BindError or GatewayError.
        """
        prepared = self._sockets.prepare(checked.table)
        generation, lanes = self.generation + 1, Lanes()
        try:
            if process is not None:
                lanes = await Lanes.start(checked.table, checked.folder)
                if before is not None:
                    await before()
                await _hand_over(process, generation, prepared, checked, lanes)
        except BaseException as error:
            prepared.discard()
            await lanes.discard()
            if isinstance(error, Exception) and not isinstance(error, PylosError):
                raise GatewayError(f"a defect of Pylos: {error!r}") from error  # what is in use stays in use
            raise
        self._sockets.commit(prepared)
        drain_seconds = self.drain_seconds if self.generation else 0.0
        self.generation, self.checked, self.listen, self._prepared = generation, checked, prepared.listen, prepared
        self._take(lanes, process, drain_seconds)

    def inherit(self, number: int, checked: Checked, prepared: Prepared) -> None:
        """Go on with a configuration that is in use already. Its lanes are not kept: they are let go of soon."""
        self.generation, self.checked, self.listen, self._prepared = number, checked, prepared.listen, prepared

    @property
    def lanes(self) -> list[int]:
        """All processes of lanes."""
        return [pid for lanes in (self._lanes, *self._retired) for pid in lanes.pids]

    def keeps(self, checked: Checked) -> bool:
        """Whether a configuration is the one in use. If so, what its reader says beside it (warnings) is taken over."""
        now = self.checked
        same = self.generation > 0 and (checked.document, checked.sources) == (now.document, now.sources)
        if same:
            self.checked = checked
        return same

    async def restore(self, process: GatewayProcess) -> None:
        """Give the configuration in use to a new process. Lanes that do not come up are tried again later."""
        lanes = await Lanes.start(self.checked.table, self.checked.folder, patient=True)
        try:
            await _hand_over(process, self.generation, self._prepared, self.checked, lanes)
        except BaseException:
            await lanes.discard()
            raise
        self._take(lanes, process, 0.0)

    async def close(self) -> None:
        """End all lanes: the gateway has ended."""
        for lanes in (self._lanes, *self._retired):
            await lanes.discard()

    def _take(self, lanes: Lanes, process: GatewayProcess | None, drain_seconds: float) -> None:
        """Use these lanes from now on, and no longer those before them."""
        before, self._lanes = self._lanes, lanes
        before.retire(drain_seconds)
        self._retired = [lanes for lanes in (*self._retired, before) if lanes.pids]
        if process is not None:
            lanes.keep(process, self.generation)

    @property
    def table(self) -> dict[str, Any]:
        """The table in use, every bind replaced by the real address of its socket."""
        return self._prepared.table

    @property
    def drain_seconds(self) -> float:
        """How long requests in flight may take when everything ends."""
        return float(self.checked.table["pylos"]["drain_ms"]) / 1000


async def _hand_over(
    process: GatewayProcess, generation: int, prepared: Prepared, checked: Checked, lanes: Lanes
) -> None:
    given = list(zip(lanes.orders, lanes.lines, strict=True))
    problems = await process.apply(generation, prepared.table, prepared.sockets, given)
    if problems:
        raise ConfigError(checked.problems(problems))
