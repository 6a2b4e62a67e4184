"""Pylos: reverse proxy, load balancer and API gateway in one program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylos._core import version as _version
from pylos.config import Config
from pylos.errors import BindError, ConfigError, GatewayError, Place, Problem, PylosError
from pylos.model import (
    AccessLog,
    Chain,
    Expect,
    FieldEdits,
    Filter,
    Given,
    Headers,
    Health,
    Identity,
    Limits,
    Listen,
    ListenTimeouts,
    Pool,
    Pylos,
    Python,
    RateLimit,
    Redirect,
    Respond,
    RewriteRe,
    Route,
    RouteTimeouts,
    Secret,
    SecretFile,
    Target,
    Test,
    Upstream,
    UpstreamTimeouts,
    When,
)
from pylos.policy import Allow, Answer, Deny, Edit, Request, Response, policy

if TYPE_CHECKING:
    from pylos.gateway import Gateway

__version__ = _version()

__all__ = [
    "AccessLog",
    "Allow",
    "Answer",
    "BindError",
    "Chain",
    "Config",
    "ConfigError",
    "Deny",
    "Edit",
    "Expect",
    "FieldEdits",
    "Filter",
    "Gateway",
    "GatewayError",
    "Given",
    "Headers",
    "Health",
    "Identity",
    "Limits",
    "Listen",
    "ListenTimeouts",
    "Place",
    "Pool",
    "Problem",
    "Pylos",
    "PylosError",
    "Python",
    "RateLimit",
    "Redirect",
    "Request",
    "Respond",
    "Response",
    "RewriteRe",
    "Route",
    "RouteTimeouts",
    "Secret",
    "SecretFile",
    "Target",
    "Test",
    "Upstream",
    "UpstreamTimeouts",
    "When",
    "__version__",
    "policy",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute may be anything
    # What runs gateways is imported when it is asked for: to check a file needs none of it.
    if name == "Gateway":
        from pylos.gateway import Gateway  # noqa: PLC0415

        return Gateway
    raise AttributeError(f"module 'pylos' has no attribute {name!r}")
