import pytest

from pylos.errors import GatewayError
from pylos.supervisor.backoff import Backoff


def test_the_first_is_replaced_at_once_then_ever_later() -> None:
    backoff = Backoff()
    delays = [backoff.delay(lived=0.01) for _ in range(9)]
    assert delays == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_process_that_lived_long_starts_from_the_beginning() -> None:
    backoff = Backoff()
    assert [backoff.delay(lived=0) for _ in range(4)] == [0, 0.1, 0.2, 0.4]
    assert [backoff.delay(lived=10), backoff.delay(lived=9.9)] == [0, 0.1]


def test_after_so_many_it_is_given_up() -> None:
    backoff = Backoff(most=2)
    assert [backoff.delay(lived=0), backoff.delay(lived=10), backoff.delay(lived=0)] == [0, 0, 0.1]
    with pytest.raises(GatewayError, match="given up: 3 processes one after the other"):
        backoff.delay(lived=0)
