"""What the language has and this version does not run: kinds, types of policies, keys and values, by their names alone.

Whoever writes one of them has made no mistake in spelling, so that is not what is said: it is one error (P110) at the
name, and nothing that follows from it is an error too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KINDS = frozenset({"api", "consumer", "plan", "store"})
"""Kinds of table."""

POLICY_TYPES = frozenset(
    {
        "all_of",
        "any_of",
        "api_key",
        "basic",
        "cache",
        "compression",
        "concurrency",
        "cors",
        "csrf",
        "forward_auth",
        "geo",
        "hmac",
        "idempotency",
        "introspection",
        "jwt",
        "maintenance",
        "oidc",
        "openapi",
        "quota",
        "require",
        "transform",
    }
)
"""Types of policies."""

Place = tuple[str, ...]
"""Where keys stand: a kind, `policy:TYPE` for a type of policy, then keys; `*` is any place in a list."""


@dataclass(frozen=True)
class Keys:
    """Keys of one place."""

    names: frozenset[str]
    stands_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By key: those of this version that are not missing beside it."""


ACTION = ("to", "redirect", "respond")
ACTIONS = frozenset({"maintenance", "static"})
"""Keys of a route that say what becomes of its requests."""

KEYS: dict[Place, Keys] = {
    ("pylos",): Keys(frozenset({"plugins"})),
    ("listen",): Keys(frozenset({"proxy_protocol", "to"})),
    ("upstream",): Keys(
        frozenset(
            {
                "breaker",
                "discover",
                "proxy_protocol",
                "queue",
                "sticky",
            }
        ),
        {"discover": ("targets",)},
    ),
    ("upstream", "health"): Keys(frozenset({"grpc"})),
    ("policy:filter",): Keys(frozenset({"on_error"})),
    ("policy:headers",): Keys(frozenset({"on_error"})),
    ("policy:rate_limit",): Keys(frozenset({"cost", "delay", "on_error", "on_store_down", "per", "store"})),
    ("route",): Keys(
        frozenset(
            {
                "api",
                "deprecated",
                "maintenance",
                "mirror",
                "override",
                "retries",
                "split_by",
                "static",
                "version",
            }
        ),
        {"api": ("match",), "maintenance": ACTION, "static": ACTION},
    ),
    ("route", "timeouts"): Keys(frozenset({"connect", "first_byte", "idle"})),
}
"""Keys, by where they stand."""


def is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def one_of(*names: str) -> Callable[[object], bool]:
    """Make the question whether a value is one of these words."""
    return lambda value: isinstance(value, str) and value in names


def scheme(*names: str) -> Callable[[object], bool]:
    """Make the question whether a value is a URL of one of these schemes."""
    return lambda value: isinstance(value, str) and value.partition("://")[0].lower() in names and "://" in value


SCHEMES = scheme("h2", "h2s", "tcp", "udp")

VALUES: dict[Place, Callable[[object], bool]] = {
    ("pylos", "access_log", "format"): one_of("common", "combined", "template"),
    ("listen", "protocols", "*"): one_of("h2", "h3", "tcp", "udp"),
    ("upstream", "targets", "*"): SCHEMES,
    ("upstream", "targets", "*", "url"): SCHEMES,
    ("policy:filter", "allow_ip"): is_table,
    ("policy:filter", "deny_ip"): is_table,
    ("route", "to"): is_table,
    ("route", "match"): scheme("tls", "tcp", "udp"),
    ("route", "match", "*"): scheme("tls", "tcp", "udp"),
}
"""Values of keys that this version has, by where they stand."""
