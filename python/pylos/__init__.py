"""Pylos: reverse proxy, load balancer and API gateway in one program.

What a name stands for is imported when it is asked for first: a lane needs no models of configuration, and to check a
file needs nothing that runs gateways.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from pylos._core import version as _version
from pylos.errors import BindError, ConfigError, GatewayError, Place, Problem, PylosError
from pylos.policy import Allow, Answer, Deny, Edit, Request, Response, policy

if TYPE_CHECKING:
    from pylos.config import Config
    from pylos.gateway import Gateway
    from pylos.model import (
        AccessLog,
        Acme,
        Balance,
        Chain,
        ClientCertificates,
        Dns,
        DnsUpdate,
        Expect,
        ExternalAccount,
        FieldEdits,
        Filter,
        Given,
        Headers,
        Health,
        Identity,
        Limits,
        Listen,
        ListenTimeouts,
        Mtls,
        Outliers,
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
        Tls,
        Upstream,
        UpstreamTimeouts,
        UpstreamTls,
        When,
    )

__version__ = _version()

__all__ = [
    "AccessLog",
    "Acme",
    "Allow",
    "Answer",
    "Balance",
    "BindError",
    "Chain",
    "ClientCertificates",
    "Config",
    "ConfigError",
    "Deny",
    "Dns",
    "DnsUpdate",
    "Edit",
    "Expect",
    "ExternalAccount",
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
    "Mtls",
    "Outliers",
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
    "Tls",
    "Upstream",
    "UpstreamTimeouts",
    "UpstreamTls",
    "When",
    "__version__",
    "policy",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_HOMES = {"Config": "pylos.config", "Gateway": "pylos.gateway"}
"""Of names that are imported when they are asked for; those of all others are models."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute may be anything
    if name not in __all__:
        raise AttributeError(f"module 'pylos' has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(_HOMES.get(name, "pylos.model")), name)
    return found
