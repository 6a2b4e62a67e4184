"""What a configuration can say: one module per kind of table. A field's docstring is its manual."""

from pylos.model.base import Table
from pylos.model.document import Document
from pylos.model.listen import Limits, Listen, ListenTimeouts
from pylos.model.policy import Chain, FieldEdits, Filter, Headers, Policy
from pylos.model.pylos_ import AccessLog, Pylos
from pylos.model.route import Redirect, Respond, Route, RouteTimeouts
from pylos.model.upstream import Health, Pool, Target, Upstream, UpstreamTimeouts

__all__ = [
    "AccessLog",
    "Chain",
    "Document",
    "FieldEdits",
    "Filter",
    "Headers",
    "Health",
    "Limits",
    "Listen",
    "ListenTimeouts",
    "Policy",
    "Pool",
    "Pylos",
    "Redirect",
    "Respond",
    "Route",
    "RouteTimeouts",
    "Table",
    "Target",
    "Upstream",
    "UpstreamTimeouts",
]
