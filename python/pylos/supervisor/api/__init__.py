"""The admin API: what a supervisor is asked, as resources over HTTP.

A request comes over the control socket (http1) or from an admin listener, whose gateway process passes it on
(forwarded). Both make a Request of it (message) with the rights that it has; resource finds what is meant and whether
that may be done, and the resources answer with the same answers that commands get. openapi tells all of it.
"""

from pylos.supervisor.api.forwarded import answer_forwarded
from pylos.supervisor.api.http1 import converse_http, is_http, told_at_once
from pylos.supervisor.api.resource import Api

__all__ = ["Api", "answer_forwarded", "converse_http", "is_http", "told_at_once"]
