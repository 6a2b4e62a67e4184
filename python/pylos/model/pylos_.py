"""`[pylos]`: what holds for the gateway as a whole."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Tag

from pylos.model.base import Table, branch, one_of_shapes, wrong
from pylos.model.units import DurationOrZero, ProcessMemory


def is_count(value: Any) -> bool:  # noqa: ANN401 - asks what the value is
    """Whether a value is a whole number (a boolean is none)."""
    return isinstance(value, int) and not isinstance(value, bool)


class AccessLog(Table):
    """Where one line a request is written."""

    path: Annotated[str, Field(min_length=1)] = "-"
    """A file, or `"-"` for standard output.

    A relative path starts at the directory in which Pylos was started. Lines are written in batches, off the way of
    the request; when the output blocks, lines are dropped and counted. Default: `"-"`.
    Example: `path = "/var/log/pylos/access.log"`.
    """

    format: Literal["json"] = "json"
    """The form of a line: `"json"`, one object a line.

    Default: `"json"`. Example: `format = "json"`.
    """


class SecretFile(Table):
    """The file of the gateway's own secret, from which all its keys are made."""

    file: Annotated[str, Field(min_length=1)]
    """A file with 64 hexadecimal digits, which its owner and group alone may read; it must be there.

    A relative path starts at the directory in which Pylos was started. Required.
    Example: `file = "/run/secrets/pylos"`.
    """


def checked_user(value: str) -> str:
    """Refuse what cannot be a user, or a user and a group."""
    if not USER.fullmatch(value):
        raise wrong("P104", "must be `USER` or `USER:GROUP`", hint='write names, not numbers: user = "pylos"')
    return value


USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?(:[A-Za-z_][A-Za-z0-9_.-]*)?")


class Pylos(Table):
    """What holds for the gateway as a whole."""

    version: Literal[1] = 1
    """The version of the configuration language; there is 1.

    A later Pylos keeps reading files of an older version as they were meant. Default: 1. Example: `version = 1`.
    """

    workers: Annotated[
        Annotated[Literal["auto"], Tag(branch("auto"))] | Annotated[int, Field(ge=1, le=1024), Tag(branch("count"))],
        one_of_shapes('must be "auto" or a whole number', auto=lambda value: value == "auto", count=is_count),
    ] = "auto"
    """How many threads serve, each on its own: `"auto"` or 1 to 1024.

    `"auto"` is one for each CPU that affinity and the container's quota allow. Default: `"auto"`.
    Example: `workers = 2`.
    """

    trusted_proxies: list[str] = Field(default_factory=list)
    """Networks whose `X-Forwarded-*` fields are believed: addresses, networks, or `"unix"` for Unix sockets.

    From all others these fields are dropped and made anew. The client's address is the right-most one of
    `X-Forwarded-For` that is not in this list. Default: nobody. Example: `trusted_proxies = ["10.0.0.0/8", "::1"]`.
    """

    zone: Annotated[str, Field(min_length=1)] | None = None
    """Where this gateway is: targets that say the same `zone` come first.

    Default: absent, all are alike. Example: `zone = "b"`.
    """

    access_log: Annotated[
        Annotated[AccessLog, Tag(branch("table"))] | Annotated[Literal[False], Tag(branch("off"))],
        one_of_shapes("must be a table or false", table=dict, off=lambda value: value is False),
    ] = Field(default_factory=lambda: AccessLog.model_validate({}))
    """The access log: a table of `path` and `format`, or `false` for none.

    Default: JSON lines on standard output. Example: `access_log = { path = "/var/log/pylos/access.log" }`.
    """

    use: list[str] = Field(default_factory=list)
    """Policies of every listener and route, before their own.

    A route leaves one out with `without`. Filters in this list see requests without a route (404, 405) too.
    Default: none. Example: `use = ["edge"]`.
    """

    require: list[str] = Field(default_factory=list)
    """Policies that every route must have, directly or through a chain, whatever it does with its requests.

    There it acts for every request: `enforce = 100` and no `if`. Only `without` on a route exempts it; else the
    configuration is refused (P212). Default: none. Example: `require = ["shield"]`.
    """

    drain: DurationOrZero = "30s"
    """How long requests in flight may take to end after SIGTERM.

    New connections are refused from the start; what is left at the end is cut. `"0s"` cuts at once.
    Default: `"30s"`. Example: `drain = "2m"`.
    """

    memory: ProcessMemory | None = None
    """How much memory the gateway process may have. When it has more, requests are refused (503, `memory_low`) until
    there is room again, so that the system does not end the process.

    Default: absent, nine tenths of what its container (cgroup) may have, with all that is in there; without such a
    bound there is none. Example: `memory = "2GiB"`.
    """

    lanes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes run the policies in Python, each all of them. One uses one CPU at most.

    A policy that names a lane of its own has one process for that. Default: 1. Example: `lanes = 2`.
    """

    lane_memory: ProcessMemory = "512MiB"
    """What one of these processes may have beside what Python itself takes; one that wants more ends, and another
    takes its place.

    Default: `"512MiB"`. Example: `lane_memory = "2GiB"`.
    """

    state: Annotated[str, Field(min_length=1)] | None = None
    """The state directory: what the gateway keeps when it ends. One gateway at a time uses it.

    Made with mode 0700 when the gateway starts; where that fails, it does not start. A relative path starts at the
    directory in which Pylos was started. Counts at the start, not on a reload. Default: that of the service manager,
    for root `/var/lib/pylos`, else `~/.local/state/pylos`; without that one the gateway serves all the same.
    Example: `state = "/var/lib/pylos"`.
    """

    secret: SecretFile | None = None
    """The gateway's own secret, from which it derives the keys of all that it signs and encrypts.

    Counts at the start, not on a reload. Default: the file `secret` in the state directory, made when it is missing.
    Example: `secret = { file = "/run/secrets/pylos" }`.
    """

    user: Annotated[str, AfterValidator(checked_user)] | None = None
    """Who the gateway is once it has started, as `USER` or `USER:GROUP`; only root can become another user.

    The supervisor keeps the right to bind ports below 1024, gateway process and lanes keep none. Counts at the start,
    not on a reload. Default: who started it. Example: `user = "pylos"`.
    """

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told at all; other tables have a `silence` of their own.

    Default: none. Example: `silence = ["P203"]`.
    """
