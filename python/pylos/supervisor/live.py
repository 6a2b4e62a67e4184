"""Questions about requests, asked of a gateway that runs: it knows what it remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pylos.config.explain import Asker

Ask = Callable[[Mapping[str, object]], dict[str, Any]]
"""Puts a question to a supervisor, and gives its answer."""


class Running:
    """Answers in the place of a table that is compiled here."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def explain(self, request: bytes) -> Any:  # noqa: ANN401 - as of Compiled
        """Explain a described request. Raises PylosError."""
        return self._ask({"type": "explain", "question": json.loads(request)})["explanation"]


def live_asker(ask: Ask) -> Asker:
    """Ask a gateway that runs. Its supervisor tells no secrets."""
    return Asker({}, (), Running(ask))
