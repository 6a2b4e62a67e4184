"""Who takes down what is told."""

from __future__ import annotations


class Lines:
    """A teller. `told` has the name of each event with its text, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def info(self, event: str, text: str, **_: object) -> None:
        self.told.append((event, text))

    warning = error = info

    def events(self) -> list[str]:
        return [event for event, _ in self.told]
