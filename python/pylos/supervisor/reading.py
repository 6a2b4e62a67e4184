"""Sources are read one after the other, aside: to check one may take seconds, in which others must not wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from pylos.errors import PylosError
from pylos.supervisor.events import Event, Read, Reload
from pylos.supervisor.source import Checked, Source, read_aside


class Reading:
    """Reads what reloads ask for, and puts what came of each. `source` gives what is read where one names none."""

    def __init__(self, put: Callable[[Event], None], source: Callable[[], Source]) -> None:
        self._put = put
        self._source = source
        self._wanted: deque[Reload] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read or waited for."""
        return self._task is None

    def want(self, wanted: Reload) -> None:
        """Queue a reload; one that waits already and has the same source serves both, since it has not read yet."""
        for at, waiting in enumerate(self._wanted):
            if waiting.source == wanted.source:
                self._wanted[at] = waiting.with_another(wanted)
                break
        else:
            self._wanted.append(wanted)
        self._next()

    def done(self) -> None:
        """Go on with the next one: what came of the last one is settled."""
        self._task = None
        self._next()

    def _next(self) -> None:
        if self._wanted and self._task is None:
            self._task = asyncio.create_task(self._read(self._wanted.popleft()), name="read the configuration")

    async def _read(self, wanted: Reload) -> None:
        source = wanted.source or self._source()
        try:
            found: Checked | PylosError = await read_aside(source)
        except PylosError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - a defect of the checks must not end what serves
            found = PylosError(f"the configuration cannot be checked, by a defect of Pylos: {type(error).__name__}")
        self._put(Read(wanted, source, found))
