"""Rates of requests: a whole number, `/` and a unit of time, "600/min". They keep the spelling they were given."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Tag

from pylos.model.base import branch, one_of_shapes, wrong


class Rate(NamedTuple):
    """So many requests in a time."""

    requests: int
    window_ms: int

    @property
    def text(self) -> str:
        """Spell it as a file does."""
        unit = next((name for name, ms in UNITS.items() if ms == self.window_ms), f"{self.window_ms}ms")
        return f"{self.requests}/{unit}"


UNITS = {"s": 1000, "min": 60_000, "h": 3_600_000, "day": 86_400_000}
"""By name, in milliseconds."""
OTHERS = {"sec": "s", "second": "s", "m": "min", "minute": "min", "hr": "h", "hour": "h", "d": "day"}
"""What others call them."""
MOST = 1_000_000_000
FORM = re.compile(r"([0-9]{1,400}(?:\.[0-9]{1,400})?)( *)(?:/( *)([A-Za-z]*))?")


@lru_cache
def rate_of(text: str) -> Rate:
    """Read a rate. Raises P109 for what is none."""
    form = FORM.fullmatch(text)
    if form is None:
        raise wrong("P109", f'"{text}" is no rate', hint='a rate is written like "600/min"')
    number, before, after, unit = form.groups()
    if not unit:
        raise wrong("P109", f'"{text}" has no unit of time', hint=suggestion(number))
    if unit not in UNITS:
        meant = OTHERS.get(unit.lower().removesuffix("s")) or next((one for one in UNITS if one == unit.lower()), None)
        *names, last = UNITS
        hint = f"did you mean `{meant}`?" if meant else f"units are {', '.join(names)} and {last}"
        raise wrong("P109", f"unknown unit `{unit}`", hint=hint)
    if before or after:
        raise wrong("P109", "no blanks in a rate", hint=f'write "{number}/{unit}"')
    if "." in number:
        raise wrong("P109", "must be a whole number", hint='less than one is more of a longer time: "30/min"')
    if int(number) == 0:
        raise wrong("P109", f'"{text}" is too small', hint='the least is "1/day"')
    if int(number) > MOST:
        raise wrong("P109", f'"{text}" is too large', hint=f'the most is "{MOST}/{unit}"')
    return Rate(int(number), UNITS[unit])


def suggestion(number: str) -> str:
    """Give a number with the units that it can have."""
    whole = number if number.isdigit() else "600"
    return f'write "{whole}/s", "{whole}/min" or "{whole}/h"'


def check(value: object) -> object:
    """Check that a value is a rate. It stays the text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong("P109", f"{value} has no unit of time", hint=suggestion(str(value)))
    if isinstance(value, str):
        rate_of(value)
    return value


CHECKED = BeforeValidator(check)
RequestRate = Annotated[str, CHECKED]
"""Requests in a time: "600/min"."""

OneOrManyRates = Annotated[
    Annotated[RequestRate, Tag(branch("one"))] | Annotated[list[RequestRate], Tag(branch("many"))],
    one_of_shapes("must be a string or a list of strings", one=str, many=list),
]
"""A rate, or a list of rates."""


def is_rate(hint: object) -> bool:
    """Whether a type is that of rates, as a branch of a union too."""
    return CHECKED in getattr(hint, "__metadata__", ())
