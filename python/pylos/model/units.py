"""Durations and sizes as fields of a model. They keep the spelling they were given."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, Field, Tag

from pylos.model.base import branch, one_of_shapes, wrong
from pylos.quantities import DURATION, PERCENTAGE, SIZE, QuantityError, Unit


def between(unit: Unit, at_least: str, at_most: str) -> BeforeValidator:
    """Check that a value is a text of this family and within its bounds (else P109). It stays the text."""
    bounds = low, high = unit.parse(at_least), unit.parse(at_most)

    def check(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = int(value) if value == value // 1 and abs(value) != float("inf") else value
            raise wrong("P109", f"{number} has no unit", hint=unit.suggestion(str(number), bounds))
        if isinstance(value, str):
            try:
                found = unit.parse(value, bounds)
            except QuantityError as error:
                raise wrong("P109", str(error), hint=error.hint) from None
            if found < low:
                raise wrong("P109", f'"{value}" is too small', hint=f'the least is "{at_least}"')
            if found > high:
                raise wrong("P109", f'"{value}" is too large', hint=f'the most is "{at_most}"')
        return value

    return BeforeValidator(check)


milliseconds: Callable[[str], int] = lru_cache(DURATION.parse)
size_bytes: Callable[[str], int] = lru_cache(SIZE.parse)
percent: Callable[[str], int] = lru_cache(PERCENTAGE.parse)

Duration = Annotated[str, between(DURATION, "1ms", "8760h")]
"""A time that cannot be nothing: "250ms", "3s", "5m", "1h"."""

DurationOrZero = Annotated[str, between(DURATION, "0ms", "8760h")]
"""A time; "0s" has a meaning of its own, told by the field."""

PolicyTimeout = Annotated[str, between(DURATION, "1ms", "10m")]
"""How long a request waits for something that decides about it."""

Interval = Annotated[str, between(DURATION, "10ms", "8760h")]
"""The time from one of many to the next."""

LineSize = Annotated[str, between(SIZE, "64B", "16MiB")]
"""Bytes of a line, held in memory: "16KiB"."""

HeadSize = Annotated[str, between(SIZE, "128B", "16MiB")]
"""Bytes of many lines, held in memory: "64KiB"."""

Rate = Annotated[str, between(SIZE, "0B", "1GiB")]
"""Bytes a second: "100B"."""

ProcessMemory = Annotated[str, between(SIZE, "64MiB", "1024GiB")]
"""Bytes of a process: "512MiB"."""

BodySize = Annotated[str, between(SIZE, "0B", "1000000GiB")]
"""Bytes of a body: "10MiB"."""

Share = Annotated[str, between(PERCENTAGE, "0%", "100%")]
"""A part of a whole: "50%"."""

Status = Annotated[
    Annotated[int, Field(ge=100, le=599), Tag(branch("status"))] | Annotated[str, Tag(branch("range"))],
    one_of_shapes(
        "must be a status or a range of them",
        status=lambda value: isinstance(value, int) and not isinstance(value, bool),
        range=str,
    ),
]
"""A status, or a range of them: 503, "500-599"."""
