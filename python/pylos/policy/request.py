"""A request as a policy sees it: what its upstream would get. Texts are made when they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pylos.policy.headers import Headers

if TYPE_CHECKING:
    from pylos._core import Call


BROKEN = re.compile(r";|%(?![0-9A-Fa-f]{2})")
"""What separates parameters for some, and what is no escape."""


class AmbiguousQueryError(ValueError):
    """A query that not all applications take apart in the same way."""


class Client:
    """Who sends a request."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def ip(self) -> str:
        """The address as trusted proxies tell it; "" for a client on a Unix socket."""
        return self._call.client_ip

    @property
    def id(self) -> str:
        """`consumer:NAME`, `jwt:ISSUER|SUBJECT`, or `ip:ADDRESS` for a client without a name."""
        return self._call.client_id

    @property
    def plan(self) -> str | None:
        """The plan that it has."""
        return self._call.client_plan or None

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """What policies before this one have found out; empty for a client of whom nothing is known."""
        claims: Mapping[str, Any] = json.loads(self._call.client_claims or b"{}")
        return claims

    def __repr__(self) -> str:
        return f"Client({self.id!r})"


class Request:
    """A request, read only. Its parts are what the upstream gets, not what the client spelled."""

    def __init__(self, call: Call, state: SimpleNamespace | None = None) -> None:
        self._call = call
        self._state = state

    @property
    def state(self) -> Any:  # noqa: ANN401 - whatever the hooks put there
        """What the hooks of this lane's policies have put there; each lane has a state of its own."""
        return self._state

    @property
    def id(self) -> str:
        """The request's id, as in `x-request-id` and the log."""
        return self._call.request_id

    @property
    def method(self) -> str:
        """Upper case, as sent."""
        return self._call.method

    @property
    def scheme(self) -> str:
        """The public scheme: `http` or `https`."""
        return self._call.scheme

    @property
    def host(self) -> str:
        """In lower case, without a port; "" when the client named none."""
        return self._call.host

    @property
    def path(self) -> str:
        """In normal form (RFC 3986 6.2.2), its other escapes as sent."""
        return self._call.path

    @property
    def query(self) -> str | None:
        """As sent, without its `?`; None when there is no `?`."""
        return self._call.query

    @cached_property
    def params(self) -> Mapping[str, list[str]]:
        """The query's parameters, decoded (`+` is a blank), each with all of its values in their order.

        Raises AmbiguousQueryError for a query that applications take apart in several ways: what is decided by one
        of them may not hold in another. Unless the policy catches it, the request is refused with 400.
        """
        if BROKEN.search(self.query or ""):
            raise AmbiguousQueryError("The query has a `;` or a `%` that applications read in several ways.")
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query or "", keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found

    @cached_property
    def headers(self) -> Headers:
        """The fields."""
        return Headers(self._call.fields())

    @cached_property
    def client(self) -> Client:
        """Who sends it."""
        return Client(self._call)

    @property
    def route(self) -> str:
        """The name of the route that takes it."""
        return self._call.route

    @property
    def body(self) -> bytes | None:
        """The body, where the policy asks for it."""
        return self._call.body

    def __repr__(self) -> str:
        return f"Request({self.method} {self.host}{self.path})"
