"""What a supervisor says of a configuration: what is odd in it, where it listens, why it is not used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pylos.errors import ConfigError, Problem, PylosError
from pylos.supervisor import log


def report_warnings(warnings: Iterable[Problem]) -> None:
    """Tell what is odd."""
    for problem in warnings:
        log.warning("config_warning", problem.render(), code=problem.code)


def report_listening(listen: Mapping[str, Sequence[str]]) -> None:
    """Tell the addresses of each listener."""
    for name, addresses in listen.items():
        log.info("listening", f"{name} listens on {', '.join(addresses)}", listener=name, addresses=addresses)


def about(error: PylosError) -> str:
    """Say in short why a configuration is refused."""
    if isinstance(error, ConfigError):
        return "the new configuration is wrong"
    return "the new configuration cannot be used"
