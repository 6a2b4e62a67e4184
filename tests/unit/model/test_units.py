from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pylos.model.units import BodySize, Duration, DurationOrZero, LineSize, milliseconds, size_bytes
from pylos.quantities import DURATION, SIZE, QuantityError


@pytest.mark.parametrize(
    "text, value",
    [("250ms", 250), ("3s", 3000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0), ("007s", 7000)],
)
def test_durations_in_milliseconds(text, value):
    assert milliseconds(text) == value


@pytest.mark.parametrize(
    "text, value",
    [
        ("12B", 12),
        ("1KB", 1000),
        ("64KiB", 65_536),
        ("2MB", 2_000_000),
        ("10MiB", 10_485_760),
        ("1GB", 10**9),
        ("1GiB", 2**30),
    ],
)
def test_sizes_in_bytes(text, value):
    assert size_bytes(text) == value


@pytest.mark.parametrize(
    "text, message, hint",
    [
        ("30", '"30" has no unit', 'write "30ms", "30s" or "30m"'),
        ("30sec", "unknown unit `sec`", "units are ms, s, m and h"),
        ("30S", "unknown unit `S`", "did you mean `s`?"),
        ("30 s", "no blank between the number and its unit", 'write "30s"'),
        ("1.5s", "must be a whole number", 'write "1500ms"'),
        ("0.5h", "must be a whole number", 'write "30m"'),
        ("0.1ms", "must be a whole number", None),
        ("-3s", '"-3s" is no duration', 'a duration is written like "30s"'),
        ("1h30m", '"1h30m" is no duration', 'a duration is written like "30s"'),
        ("", '"" is no duration', 'a duration is written like "30s"'),
        ("3s\n", '"3s\n" is no duration', 'a duration is written like "30s"'),
        ("٣s", '"٣s" is no duration', 'a duration is written like "30s"'),  # a digit, but not of this language
        (30, "30 has no unit", 'write "30ms", "30s" or "30m"'),
        (1e3, "1000 has no unit", 'write "1000ms", "1000s" or "1000m"'),
        (float("inf"), "inf has no unit", 'a duration is a whole number and its unit, "30s"'),
        ("9" * 20 + "s", f'"{"9" * 20}s" is too large', 'the most is "8760h"'),
        (1.5, "1.5 has no unit", 'a duration is a whole number and its unit, "30s"'),
        ("0s", '"0s" is too small', 'the least is "1ms"'),
        ("9999h", '"9999h" is too large', 'the most is "8760h"'),
    ],
)
def test_what_is_said_about_a_bad_duration(text, message, hint):
    assert said(Duration, text) == ("P109", message, hint)


@pytest.mark.parametrize(
    "text, message, hint",
    [
        (10, "10 has no unit", 'write "10KiB" or "10MiB"'),
        ("10kb", "unknown unit `kb`", "did you mean `KB`?"),
        ("10K", "unknown unit `K`", "units are B, KB, KiB, MB, MiB, GB and GiB"),
        ("1.5KiB", "must be a whole number", 'write "1536B"'),
        ("10B", '"10B" is too small', 'the least is "64B"'),
        ("1GiB", '"1GiB" is too large', 'the most is "16MiB"'),
    ],
)
def test_what_is_said_about_a_bad_size(text, message, hint):
    assert said(LineSize, text) == ("P109", message, hint)


def test_zero_is_allowed_where_it_means_something():
    assert TypeAdapter(DurationOrZero).validate_python("0s") == "0s"
    assert TypeAdapter(BodySize).validate_python("0B") == "0B"


@pytest.mark.parametrize("family", [DURATION, SIZE], ids=lambda family: family.what)
@given(data=st.data())
def test_any_whole_number_with_any_unit_is_read(family, data):
    number = data.draw(st.integers(min_value=0, max_value=10**12))
    unit = data.draw(st.sampled_from(sorted(family.scale)))

    assert family.parse(f"{number}{unit}") == number * family.scale[unit]


@given(st.text())
def test_no_text_makes_the_reader_fail_in_another_way(text):
    with suppress(QuantityError):
        DURATION.parse(text)


def said(kind, value) -> tuple[str, str, str | None]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    (error,) = caught.value.errors()
    return error["type"], error["msg"], error["ctx"]["hint"]
