"""Bodies by seed, and where one differs."""

import pytest

from soak.content import BLOCK, content, difference


@pytest.mark.parametrize("size", [0, 1, 1000, len(BLOCK) + 5, 3 * len(BLOCK)])
def test_a_body_is_that_of_its_seed(size: int):
    assert len(content(7, size)) == size
    assert difference(content(7, size), 7, size) is None


def test_another_body_is_found():
    body = bytearray(content(7, 1000))
    assert difference(bytes(body[:-1]), 7, 1000) == "999 bytes instead of 1000"
    assert difference(content(8, 1000), 7, 1000)
    body[500] ^= 1
    assert "at 500 of 1000" in str(difference(bytes(body), 7, 1000))
