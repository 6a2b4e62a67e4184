"""What an error becomes on the wire, and what comes of it at the other end."""

import json

import pytest

from pylos.errors import BindError, ConfigError, GatewayError, Place, Problem, PylosError
from pylos.supervisor.failed import error_of, failure

OTHER = (Place("a.toml", 7), "the other")
PROBLEM = Problem("P202", "error", ("route", "a"), "two", None, Place("a.toml", 3), (OTHER,))


class OddError(GatewayError):
    """One of another kind is told as what it is one of."""


@pytest.mark.parametrize(
    "error, kind",
    [
        (ConfigError([PROBLEM]), ConfigError),
        (BindError("in use"), BindError),
        (GatewayError("ended"), GatewayError),
        (OddError("odd"), GatewayError),
        (PylosError("none such"), PylosError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_error_comes_back(error: PylosError, kind: type[PylosError]) -> None:
    answer = json.loads(json.dumps(failure(7, error)))
    back = error_of(answer)

    assert (answer["type"], answer["id"]) == ("failed", 7)
    assert (type(back), str(back)) == (kind, str(error))
    assert not isinstance(back, ConfigError) or back.problems == [PROBLEM]
