"""`[defaults.KIND]`: keys that every object of a kind has unless it says otherwise.

The nearer wins whole: where an object has a key, the default's value does not count, table or list that it may be. A
default that would contradict what the object does is not for it: `timeout` on a route that redirects, `strip` beside
`rewrite`, an action beside another, `admin_token` without the admin API, `tls` where probes ask by an address, `sni`
where nobody has that name, `redirect` where TLS is spoken, the `tls` of an upstream without it. One that the object
would need and cannot have, because its targets do not speak that way, is an error (P115): `health = false` in the
object says that it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylos.config.later import Present
from pylos.config.lower import STRICT
from pylos.config.problems import Report, described, did_you_mean, listed
from pylos.config.shape import Reader
from pylos.model import later
from pylos.model.base import many
from pylos.model.document import KINDS
from pylos.model.route import ACTIONS, FORWARDING
from pylos.model.upstream import is_encrypted

KEY = "defaults"
OF_KINDS = ("listen", "upstream", "route")
WITHOUT_PATHS = ("tcp", "udp")
"""Schemes of targets that know no paths, so that no path can be asked for."""

Table = dict[str, Any]


def with_defaults(present: Present, report: Report) -> dict[str, Any]:
    """Give the document with its defaults filled in. Problems with a default are told once, at the default."""
    document = dict(present.document)
    defaults = document.pop(KEY, {})
    if not isinstance(defaults, dict):
        report.add("P104", (KEY,), f"must be tables, [{KEY}.KIND], not {described(defaults)}", part="key")
        return document
    for kind, table in defaults.items():
        if kind not in OF_KINDS:
            hint = did_you_mean(kind, OF_KINDS, f"kinds with defaults are {listed(OF_KINDS)}")
            report.add("P103", (KEY, kind), "there are no defaults of this kind", hint=hint, part="key")
        elif not isinstance(table, dict):
            report.add("P104", (KEY, kind), f"must be a table, not {described(table)}", part="key")
        else:
            reader = Reader(report, (KEY, kind), table, present.settled.get((KEY, kind), set()))
            default = without_own(kind, reader.read_keys(KINDS[kind][0]), report)
            document[kind] = merged(kind, document.get(kind, {}), default, report)
    return document


OWN_KEYS = {"route": {"without": "write it in each route that is meant: only there it is seen what a route is without"}}
"""Keys that an object says itself or not at all, each with what to do."""


def without_own(kind: str, default: Table, report: Report) -> Table:
    """Refuse defaults for what each object has to say itself."""
    own = OWN_KEYS.get(kind, {})
    for key in default.keys() & own.keys():
        report.add("P115", (KEY, kind, key), f"`{key}` is no default", hint=own[key], part="key")
    return {key: value for key, value in default.items() if key not in own}


def merged(kind: str, tables: Any, default: Table, report: Report) -> Any:  # noqa: ANN401 - whatever stands there
    """Fill the defaults into every object of a kind."""
    if not isinstance(tables, dict):
        return tables
    return {
        name: filled(kind, str(name), table, default, report) if isinstance(table, dict) else table
        for name, table in tables.items()
    }


def filled(kind: str, name: str, table: Table, default: Table, report: Report) -> Table:
    """Fill the defaults into one object."""
    found = dict(table)
    for key, value in default.items():
        if key in table or not applies(kind, key, table, default):
            continue
        if scheme := scheme_without(kind, key, value, table):
            refuse(name, key, scheme, report)
            continue
        found[key] = value
        report.inherited[kind, name, key] = (KEY, kind, key)
    return found


def applies(kind: str, key: str, table: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    """Whether a default has a meaning beside what the object says itself."""
    asked = {"listen": of_listener, "upstream": of_upstream, "route": of_route}.get(kind)
    return asked is None or asked(key, table, default)


def of_listener(key: str, listen: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    if key == "admin_token":
        serve = listen.get("serve", default.get("serve"))
        return isinstance(serve, list) and "admin" in serve
    if key == "redirect":
        return not any(table.get(other) for table in (listen, default) for other in ("tls", "serve"))
    return key not in {"tls", "sni"} or speaks_by(key, listen, default)


def of_upstream(key: str, upstream: Mapping[str, Any], _: Mapping[str, Any]) -> bool:
    targets = upstream.get("targets")
    urls = [urled(target) for target in (targets if isinstance(targets, list) else [])]
    return key != "tls" or any(is_encrypted(url) for url in urls)


def of_route(key: str, route: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    actions = {*ACTIONS, *later.ACTIONS}
    own = actions & route.keys()
    if key in ACTIONS:
        return not own
    if key in FORWARDING and "to" not in (own or default):
        return False
    return not (key in PATH_CHANGES and PATH_CHANGES & route.keys())


def speaks_by(key: str, listen: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    """Whether `tls` and `sni` of all are for a listener: not for one of probes, nor for one with names of its own."""
    own = listen.get("tls")
    if own is None and listen.get("serve", default.get("serve")) is not None:
        return False
    if key == "tls":
        return True
    said = default.get("tls") if own is None else own
    names = many(said) if isinstance(said, str | list) else []
    return bool(names) and (own is None or default["sni"] in (STRICT, *names))


PATH_CHANGES = {"rewrite", "strip"}


def scheme_without(kind: str, key: str, value: object, upstream: Mapping[str, Any]) -> str | None:
    """Give the scheme of a target that cannot be asked for the path of a default health check."""
    if kind != "upstream" or key != "health" or not isinstance(value, dict) or "path" not in value:
        return None
    targets = upstream.get("targets")
    for target in targets if isinstance(targets, list) else []:
        url = urled(target)
        scheme = url.partition("://")[0] if isinstance(url, str) and "://" in url else ""
        if scheme in WITHOUT_PATHS:
            return scheme
    return None


def urled(target: object) -> object:
    """Give the URL of a target, however it is written."""
    return target.get("url") if isinstance(target, dict) else target


def refuse(name: str, key: str, scheme: str, report: Report) -> None:
    """Report a default that an upstream cannot have, at the default, with the place of the upstream."""
    upstream = ("upstream", name)
    there = report.places.place(upstream, "key")
    message = f"cannot apply to [upstream.{name}] ({there}), whose targets are `{scheme}://` and know no paths"
    hint = "give that upstream a `health` of its own, or `health = false`"
    also = [(upstream, "has this default")]
    report.add("P115", (KEY, "upstream", key), message, hint=hint, part="key", also=also)
