"""Durations and sizes: a whole number and its unit, "250ms", "64KiB". They keep the spelling they were given."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from pylos.model.base import wrong


@dataclass(frozen=True)
class Unit:
    """A family of units, and how a number with one of them is read."""

    what: str
    example: str
    scale: Mapping[str, int]
    """By name, from the smallest, which is 1."""

    def parse(self, text: str, bounds: Bounds | None = None) -> int:
        """Give the value in the smallest unit; raises P109 for anything but a whole number with a unit.

        What is suggested instead is within the bounds.
        """
        form = FORM.fullmatch(text)
        if form is None:
            raise self.bad(f'"{text}" is no {self.what}', hint=f'a {self.what} is written like "{self.example}"')
        number, gap, unit = form.groups()
        if not unit:
            raise self.bad(f'"{text}" has no unit', hint=self.suggestion(number, bounds))
        if unit not in self.scale:
            raise self.bad(f"unknown unit `{unit}`", hint=self.unit_hint(unit))
        if gap:
            raise self.bad("no blank between the number and its unit", hint=f'write "{number}{unit}"')
        if "." in number:
            raise self.bad("must be a whole number", hint=self.whole(number, unit))
        return int(number) * self.scale[unit]

    def value(self, text: str) -> int:
        """Give the value in the smallest unit to code that is no model; raises ValueError."""
        try:
            return self.parse(text)
        except PydanticCustomError as error:
            raise ValueError(error.message()) from None

    def bad(self, message: str, hint: str | None) -> ValueError:
        return wrong("P109", message, hint=hint)

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
        return f"units are {', '.join(names)} and {last}"

    def whole(self, number: str, unit: str) -> str | None:
        exact = Fraction(number) * self.scale[unit]
        for name, scale in reversed(list(self.scale.items())):
            if (exact / scale).denominator == 1:
                return f'write "{exact / scale}{name}"'
        return None

    def between(self, at_least: str, at_most: str) -> BeforeValidator:
        """Check that a value is a text of this family and within its bounds. It stays the text."""
        bounds = low, high = self.parse(at_least), self.parse(at_most)

        def check(value: object) -> object:
            if isinstance(value, int | float) and not isinstance(value, bool):
                number = int(value) if value == value // 1 and abs(value) != float("inf") else value
                raise self.bad(f"{number} has no unit", hint=self.suggestion(str(number), bounds))
            if isinstance(value, str):
                found = self.parse(value, bounds)
                if found < low:
                    raise self.bad(f'"{value}" is too small', hint=f'the least is "{at_least}"')
                if found > high:
                    raise self.bad(f'"{value}" is too large', hint=f'the most is "{at_most}"')
            return value

        return BeforeValidator(check)


FORM = re.compile(r"([0-9]{1,400}(?:\.[0-9]{1,400})?)( *)([A-Za-z]*)")
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

milliseconds: Callable[[str], int] = lru_cache(DURATION.parse)
size_bytes: Callable[[str], int] = lru_cache(SIZE.parse)

Duration = Annotated[str, DURATION.between("1ms", "8760h")]
"""A time that cannot be nothing: "250ms", "3s", "5m", "1h"."""

DurationOrZero = Annotated[str, DURATION.between("0ms", "8760h")]
"""A time; "0s" has a meaning of its own, told by the field."""

PolicyTimeout = Annotated[str, DURATION.between("1ms", "10m")]
"""How long a request waits for something that decides about it."""

Interval = Annotated[str, DURATION.between("10ms", "8760h")]
"""The time from one of many to the next."""

LineSize = Annotated[str, SIZE.between("64B", "16MiB")]
"""Bytes of a line, held in memory: "16KiB"."""

HeadSize = Annotated[str, SIZE.between("128B", "16MiB")]
"""Bytes of many lines, held in memory: "64KiB"."""

Rate = Annotated[str, SIZE.between("0B", "1GiB")]
"""Bytes a second: "100B"."""

ProcessMemory = Annotated[str, SIZE.between("64MiB", "1024GiB")]
"""Bytes of a process: "512MiB"."""

BodySize = Annotated[str, SIZE.between("0B", "1000000GiB")]
"""Bytes of a body: "10MiB"."""
