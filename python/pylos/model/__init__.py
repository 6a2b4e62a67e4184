"""What a configuration can say: one module per kind of table. A field's docstring is its manual."""

from pylos.model.base import Table
from pylos.model.document import Document
from pylos.model.listen import Limits, Listen, ListenTimeouts
from pylos.model.policy import Chain, FieldEdits, Filter, Headers, Policy, Python, RateLimit
from pylos.model.pylos_ import AccessLog, Pylos, SecretFile
from pylos.model.route import Redirect, Respond, RewriteRe, Route, RouteTimeouts
from pylos.model.secret import Secret
from pylos.model.test import Expect, Given, Identity, Test
from pylos.model.upstream import Health, Pool, Target, Upstream, UpstreamTimeouts
from pylos.model.when import When

__all__ = [
    "AccessLog",
    "Chain",
    "Document",
    "Expect",
    "FieldEdits",
    "Filter",
    "Given",
    "Headers",
    "Health",
    "Identity",
    "Limits",
    "Listen",
    "ListenTimeouts",
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
    "Upstream",
    "UpstreamTimeouts",
    "When",
]
