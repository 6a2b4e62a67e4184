"""The document as a whole: every kind of table by its name."""

from __future__ import annotations

from dataclasses import dataclass, field

from pylos.model.acme import Acme
from pylos.model.listen import Listen
from pylos.model.policy import POLICIES, Policy
from pylos.model.pylos_ import Pylos
from pylos.model.route import Route
from pylos.model.test import Test
from pylos.model.tls import Tls
from pylos.model.upstream import Upstream


@dataclass(frozen=True)
class Document:
    """What a file says, checked, with all defaults."""

    pylos: Pylos = field(default_factory=lambda: Pylos.model_validate({}))
    listen: dict[str, Listen] = field(default_factory=dict)
    tls: dict[str, Tls] = field(default_factory=dict)
    acme: dict[str, Acme] = field(default_factory=dict)
    upstream: dict[str, Upstream] = field(default_factory=dict)
    policy: dict[str, Policy] = field(default_factory=dict)
    route: dict[str, Route] = field(default_factory=dict)
    test: dict[str, Test] = field(default_factory=dict)


KINDS: dict[str, tuple[type[Pylos | Listen | Tls | Acme | Upstream | Policy | Route | Test], ...]] = {
    "pylos": (Pylos,),
    "listen": (Listen,),
    "tls": (Tls,),
    "acme": (Acme,),
    "upstream": (Upstream,),
    "policy": tuple(POLICIES.values()),
    "route": (Route,),
    "test": (Test,),
}
"""The kinds of table, in the order in which a document is best written, and the models of each."""
