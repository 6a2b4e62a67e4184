"""A gateway process takes over from another: on the same sockets, with what the other one knows.

The other one then drains. What it counts by limits from then on, it asks the new one for.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from pylos.errors import GatewayError
from pylos.supervisor import log
from pylos.supervisor.process import GatewayProcess


class Handover:
    """From `old` to `new`. `begin` comes before the new one has a configuration, and so before it accepts."""

    def __init__(self, old: GatewayProcess, new: GatewayProcess) -> None:
        self._old = old
        self._new = new
        self._begun = False

    async def begin(self) -> None:
        """Hand over. Where that fails, the new one begins with nothing, and that is told."""
        self._begun = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("pylos-handover", os.MFD_CLOEXEC)
        with ours, theirs, os.fdopen(memory, "rb+", buffering=0) as file:
            try:
                await self._old.hand_over(memory, ours.fileno())
                file.seek(0)
                await self._new.take_over(memory, theirs.fileno())
                await self._old.ask_for_limits()
            except GatewayError as error:
                text = f"limits, health and counters begin anew: {error}"
                log.warning("handover_failed", text, gateway=self._new.pid)

    async def undo(self) -> None:
        """Have the old one go on by itself: the new one has failed."""
        if self._begun:
            with suppress(GatewayError):
                await self._old.take_back()
