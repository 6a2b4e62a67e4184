"""Policies in Python: what they see, what they say, and the process that they run in."""

from pylos.policy.declare import Policy, policy
from pylos.policy.headers import Headers
from pylos.policy.request import Client, Request
from pylos.policy.response import Response
from pylos.policy.verdict import Allow, Answer, Deny, Edit, Review, Verdict

__all__ = [
    "Allow",
    "Answer",
    "Client",
    "Deny",
    "Edit",
    "Headers",
    "Policy",
    "Request",
    "Response",
    "Review",
    "Verdict",
    "policy",
]
