"""Whatever stands in a document: it is used, or refused with problems that have a place. It never fails otherwise."""

import copy
from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pylos.config.check import check
from pylos.config.parse import parse
from pylos.errors import ConfigError

TEXT = (Path(__file__).parents[2] / "golden/lower/everything.toml").read_text(encoding="utf-8")
DOCUMENT, PLACES = parse(TEXT, "x.toml")


def parts(value, path=()):
    """The paths of everything in a document."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from parts(inner, (*path, step))


KEYS = sorted({step for path in parts(DOCUMENT) for step in path if isinstance(step, str)})
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=8), st.sampled_from(KEYS)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner)
)
PATHS = st.sampled_from([path for path in parts(DOCUMENT) if path])


@given(st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=3))
def test_any_value_at_any_place(changes):
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        put(document, path, value)

    try:
        problems = check(document, PLACES, watch=[]).warnings
    except ConfigError as error:
        problems = error.problems
        assert any(problem.severity == "error" for problem in problems)
    assert [problem.render() for problem in problems if not 0 <= problem.place.line <= TEXT.count("\n")] == []
    assert len({(problem.code, problem.path, problem.message) for problem in problems}) == len(problems)


def put(document, path, value):
    """Write a value, unless another change has taken the place away."""
    with suppress(KeyError, IndexError, TypeError, AttributeError):
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value
