"""Rates of requests: how they are read, and what is said about those that cannot be."""

import pytest
from pydantic_core import PydanticCustomError

from pylos.model.rate import Rate, rate_of


@pytest.mark.parametrize(
    "text, requests, window_ms",
    [("600/min", 600, 60_000), ("1/s", 1, 1000), ("20/h", 20, 3_600_000), ("1000000000/day", 10**9, 86_400_000)],
)
def test_a_rate_is_read_and_spelled_again(text: str, requests: int, window_ms: int):
    assert rate_of(text) == Rate(requests, window_ms)
    assert rate_of(text).text == text


@pytest.mark.parametrize(
    "text, message, hint",
    [
        ("600", '"600" has no unit of time', 'write "600/s", "600/min" or "600/h"'),
        ("600/", '"600/" has no unit of time', 'write "600/s", "600/min" or "600/h"'),
        ("600/m", "unknown unit `m`", "did you mean `min`?"),
        ("600/minutes", "unknown unit `minutes`", "did you mean `min`?"),
        ("600/MIN", "unknown unit `MIN`", "did you mean `min`?"),
        ("600/S", "unknown unit `S`", "did you mean `s`?"),
        ("600/month", "unknown unit `month`", "units are s, min, h and day"),
        ("600 /min", "no blanks in a rate", 'write "600/min"'),
        ("0/min", '"0/min" is too small', 'the least is "1/day"'),
        ("0.5/s", "must be a whole number", 'less than one is more of a longer time: "30/min"'),
        ("1000000001/s", '"1000000001/s" is too large', 'the most is "1000000000/s"'),
        ("", '"" is no rate', 'a rate is written like "600/min"'),
        ("-1/s", '"-1/s" is no rate', 'a rate is written like "600/min"'),
    ],
)
def test_what_is_no_rate_is_told_in_words(text: str, message: str, hint: str):
    with pytest.raises(PydanticCustomError) as caught:
        rate_of(text)

    assert caught.value.type == "P109"
    assert (caught.value.context or {})["message"] == message
    assert (caught.value.context or {})["hint"] == hint
