"""What a configuration changes that is in use already: so whatever fails here refuses nothing."""

from __future__ import annotations

from pylos.config.diff import Change
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread
from pylos.supervisor.history import Entry, History
from pylos.supervisor.source import Checked


async def compare(
    history: History, number: int, checked: Checked, reason: str, restores: int | None = None
) -> tuple[Entry, list[Change] | None]:
    """Give the entry of a configuration, and what it changes; None where that cannot be told."""
    try:
        return await in_thread(lambda: history.entry(number, checked, reason, restores))
    except Exception as error:  # noqa: BLE001 - a defect of the comparison must not end what serves
        defect = type(error).__name__  # and not its text, in which values may stand
        told = f"what configuration {number} changes cannot be told, by a defect of Pylos: {defect}"
        log.warning("diff_failed", told, generation=number, error=defect)
        return await in_thread(lambda: history.bare_entry(number, checked, reason, restores)), None
