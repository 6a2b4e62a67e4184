"""Durations and sizes: a whole number and its unit, "250ms", "64KiB"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


class QuantityError(ValueError):
    """A text is none of the kind that is wanted."""

    def __init__(self, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Unit:
    """A family of units, and how a number with one of them is read."""

    what: str
    example: str
    scale: Mapping[str, int]
    """By name, from the smallest, which is 1."""

    def parse(self, text: str, bounds: Bounds | None = None) -> int:
        """Give the value in the smallest unit. Raises QuantityError for anything but a whole number with a unit.

        What is suggested instead is within the bounds.
        """
        form = FORM.fullmatch(text)
        if form is None:
            raise QuantityError(f'"{text}" is no {self.what}', hint=f'a {self.what} is written like "{self.example}"')
        number, gap, unit = form.groups()
        if not unit:
            raise QuantityError(f'"{text}" has no unit', hint=self.suggestion(number, bounds))
        if unit not in self.scale:
            raise QuantityError(f"unknown unit `{unit}`", hint=self.unit_hint(unit))
        if gap:
            raise QuantityError("no blank between the number and its unit", hint=f'write "{number}{unit}"')
        if "." in number:
            raise QuantityError("must be a whole number", hint=self.whole(number, unit))
        return int(number) * self.scale[unit]

    def suggestion(self, number: str, bounds: Bounds | None) -> str:
        """Give the number with the units that it can have."""
        whole = re.fullmatch(r"([0-9]{1,15})(?:\.0+)?", number)
        low, high = bounds or (0, float("inf"))
        fitting = [
            f'"{whole[1]}{unit}"'
            for unit, scale in self.scale.items()
            if whole and unit not in THOUSANDS and low <= int(whole[1]) * scale <= high
        ]
        if not fitting:
            return f'a {self.what} is a whole number and its unit, "{self.example}"'
        *first, last = fitting[:MOST_SUGGESTED]
        return f"write {', '.join(first)} or {last}" if first else f"write {last}"

    def unit_hint(self, unit: str) -> str:
        by_lower = {name.lower(): name for name in self.scale}
        if unit.lower() in by_lower:
            return f"did you mean `{by_lower[unit.lower()]}`?"
        *names, last = self.scale
        if not names:
            return f"the unit is {last}"
        return f"units are {', '.join(names)} and {last}"

    def whole(self, number: str, unit: str) -> str | None:
        exact = Fraction(number) * self.scale[unit]
        for name, scale in reversed(list(self.scale.items())):
            if (exact / scale).denominator == 1:
                return f'write "{exact / scale}{name}"'
        return None


FORM = re.compile(r"([0-9]{1,400}(?:\.[0-9]{1,400})?)( *)([A-Za-z%]*)")
MOST_SUGGESTED = 3
THOUSANDS = ("KB", "MB", "GB")
"""Units that are understood and not suggested: whoever writes a bare number means those of 1024."""
Bounds = tuple[int, int]

DURATION = Unit("duration", "30s", {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000})
SIZE = Unit(
    "size",
    "64KiB",
    {"B": 1, "KB": 1000, "KiB": 1 << 10, "MB": 1000**2, "MiB": 1 << 20, "GB": 1000**3, "GiB": 1 << 30},
)
PERCENTAGE = Unit("percentage", "50%", {"%": 1})
