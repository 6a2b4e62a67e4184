"""What a configuration can say: one module per kind of table. A field's docstring is its manual.

The models are imported when one of them is asked for first: what says how units are spelled needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylos.model.acme import Acme, Dns, DnsUpdate, ExternalAccount
    from pylos.model.base import Table
    from pylos.model.document import Document
    from pylos.model.listen import Limits, Listen, ListenTimeouts
    from pylos.model.policy import Chain, FieldEdits, Filter, Headers, Mtls, Policy, Python, RateLimit
    from pylos.model.pylos_ import AccessLog, Pylos, SecretFile
    from pylos.model.route import Redirect, Respond, RewriteRe, Route, RouteTimeouts
    from pylos.model.secret import Secret
    from pylos.model.test import Expect, Given, Identity, Test
    from pylos.model.tls import ClientCertificates, Tls
    from pylos.model.upstream import Balance, Health, Outliers, Pool, Target, Upstream, UpstreamTimeouts, UpstreamTls
    from pylos.model.when import When

__all__ = [
    "AccessLog",
    "Acme",
    "Balance",
    "Chain",
    "ClientCertificates",
    "Dns",
    "DnsUpdate",
    "Document",
    "Expect",
    "ExternalAccount",
    "FieldEdits",
    "Filter",
    "Given",
    "Headers",
    "Health",
    "Identity",
    "Limits",
    "Listen",
    "ListenTimeouts",
    "Mtls",
    "Outliers",
    "Policy",
    "Pool",
    "Pylos",
    "Python",
    "RateLimit",
    "Redirect",
    "Respond",
    "RewriteRe",
    "Route",
    "RouteTimeouts",
    "Secret",
    "SecretFile",
    "Table",
    "Target",
    "Test",
    "Tls",
    "Upstream",
    "UpstreamTimeouts",
    "UpstreamTls",
    "When",
]

_MODULES = (
    "acme",
    "base",
    "document",
    "listen",
    "policy",
    "pylos_",
    "route",
    "secret",
    "test",
    "tls",
    "upstream",
    "when",
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute may be anything
    if name not in __all__:
        raise AttributeError(f"module 'pylos.model' has no attribute {name!r}")
    modules = [import_module(f"pylos.model.{module}") for module in _MODULES]
    globals().update({own: getattr(module, own) for module in modules for own in vars(module) if own in __all__})
    return globals()[name]
