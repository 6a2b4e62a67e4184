"""The pytest options for the coverage of routes and policies: `--pylos-coverage=gateway.toml`, and its floor."""

from __future__ import annotations

import pytest

from pylos.config.program import is_module
from pylos.errors import PylosError
from pylos.testing.coverage import ACTIVE, Coverage

COVERAGES: pytest.StashKey[list[Coverage]] = pytest.StashKey()
FLOOR: pytest.StashKey[float] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the same as keys of the configuration file."""
    group = parser.getgroup("pylos", "Pylos: gateways under test")
    group.addoption(
        "--pylos-coverage",
        action="append",
        metavar="FILE",
        help="tell which routes and policies of this gateway configuration were exercised (may be given several times)",
    )
    group.addoption(
        "--pylos-coverage-floor",
        metavar="PERCENT",
        help="fail when fewer of the routes and policies were exercised",
    )
    parser.addini("pylos_coverage", "as --pylos-coverage, one file a line", type="linelist")
    parser.addini("pylos_coverage_floor", "as --pylos-coverage-floor")


def pytest_configure(config: pytest.Config) -> None:
    """Read the configurations to cover; the run does not begin where one of them is wrong."""
    sources, floor = _sources(config), _floor(config)
    if floor is not None and not sources:
        raise pytest.UsageError("--pylos-coverage-floor needs to know of what: --pylos-coverage=gateway.toml")
    if not sources or config.option.collectonly:
        return
    if getattr(config.option, "dist", "no") != "no" or hasattr(config, "workerinput"):
        raise pytest.UsageError("--pylos-coverage counts in one process: run it without pytest-xdist (-n 0)")
    try:
        coverages: list[Coverage] = [Coverage.of(source) for source in sources]
    except PylosError as error:
        raise pytest.UsageError(f"--pylos-coverage: {error}") from None
    if floor is not None:
        config.stash[FLOOR] = floor
    config.stash[COVERAGES] = coverages
    ACTIVE.extend(coverages)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Count no further."""
    for coverage in covered(config):
        ACTIVE.remove(coverage)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the run fail below the floor."""
    if _below(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the tables."""
    floor, below = config.stash.get(FLOOR, None), _below(config)
    for coverage in covered(config):
        terminalreporter.write_sep("=", f"pylos coverage of {coverage.name}")
        for line in coverage.lines():
            terminalreporter.write_line(line)
        if coverage in below:
            told = f"FAIL {coverage.name}: {coverage.percent:.1f} % of routes and policies, at least {floor:g} % wanted"
            terminalreporter.write_line(told, red=True)


def covered(config: pytest.Config) -> list[Coverage]:
    """Give the coverages of a run."""
    return config.stash.get(COVERAGES, None) or []


def _below(config: pytest.Config) -> list[Coverage]:
    floor = config.stash.get(FLOOR, 0.0)
    return [coverage for coverage in covered(config) if coverage.percent < floor]


def _sources(config: pytest.Config) -> list[str]:
    given: list[str] | None = config.getoption("--pylos-coverage")
    if given is not None:
        return given
    lines: list[str] = config.getini("pylos_coverage")
    return [line if is_module(line) else str(config.rootpath / line) for line in lines]


def _floor(config: pytest.Config) -> float | None:
    given = config.getoption("--pylos-coverage-floor") or config.getini("pylos_coverage_floor")
    if not given:
        return None
    try:
        floor = float(given)
    except ValueError:
        floor = -1
    if not 0 <= floor <= 100:
        raise pytest.UsageError(f"--pylos-coverage-floor is a number of percent, 0 to 100, not `{given}`")
    return floor
