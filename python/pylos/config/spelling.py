"""A lowered table in the words of a file again, so that what means the same is spelled the same.

Each object becomes a flat table of keys, `timeouts.connect`. Lists whose order means nothing are sorted, names of
fields are in lower case, and instead of what `use`, `without` and chains say stands what comes of it: the effective
policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pylos.config.acme import lower_table
from pylos.config.lower import STRICT, lower_listen, lower_policy, lower_pylos, lower_route, lower_tls, lower_upstream
from pylos.config.meaning import Meaning, Plain, Table
from pylos.config.policies import UNREAD
from pylos.errors import KeyPath, quoted
from pylos.model import Acme, Filter, Listen, Pylos, Route, Tls, Upstream
from pylos.model.rate import Rate
from pylos.quantities import DURATION, SIZE, Unit

ORDERED = {"use", "require", "rate", "cert", "fallback", "challenges", "command"}
"""Lists whose order counts, wherever they stand; all others are sets, but for those that mean what a user says."""
NAMES = {"set", "add", "headers", "header", "query", "cookie", "claims"}
"""Tables whose keys are names that a user gives: `timeout_ms` is one as it stands, and no `timeout`."""
POLICIES = "policies"
"""The key under which effective policies stand."""


def objects(meaning: Meaning, document: Table, twin: Table) -> dict[KeyPath, Plain]:
    """Give every object of a document by its path, in the order of kinds and names.

    `document` is that of the meaning, as far as it may be told. What is the same in its `twin` is not spelled out, but
    for what comes of it: most of a large one.
    """

    def differs(kind: str, name: str) -> bool:
        return bool(twin.get(kind, {}).get(name) != document[kind][name])

    policies = document["policy"]
    effective, unrouted = Effective(meaning.rows), meaning.compiled.unrouted()
    found: dict[KeyPath, Plain] = {("pylos",): pylos_keys(document["pylos"], policies)}
    for name, listen in document["listen"].items():
        found["listen", name] = {**listen_keys(listen), POLICIES: unrouted[name]}
    for name, tls in document.get("tls", {}).items():  # an earlier version had none
        wanted = document.get("acme", {}).get("tls", {}).get(name)
        same = not differs("tls", name) and twin.get("acme", {}).get("tls", {}).get(name) == wanted
        found["tls", name] = {} if same else tls_keys(tls, wanted)
    for name, acme in document.get("acme", {}).get("tables", {}).items():
        found["acme", name] = acme_keys(acme)
    for name, upstream in document["upstream"].items():
        found["upstream", name] = upstream_keys(upstream) if differs("upstream", name) else {}
    for name, policy in policies.items():
        if kind_of(policy)["type"] != "chain":  # a chain is only a way to write its list
            found["policy", name] = policy_keys(policy) if differs("policy", name) else {}
    for name, route in document["route"].items():
        own = route_keys(route) if differs("route", name) else {}
        found["route", name] = {**own, **effective.of_route(name)}
    found |= {("test", name): test_keys(test) for name, test in document.get("test", {}).items()}
    return found


class Effective:
    """The policies that act on what takes a route."""

    def __init__(self, rows: Iterable[Plain]) -> None:
        self._rows: dict[str, dict[str, list[str]]] = {}
        for row in rows:
            by_listener = self._rows.setdefault(row["route"], {})
            by_listener.update(dict.fromkeys(row["listeners"], row["policies"]))

    def of_route(self, name: str) -> Plain:
        """One list, or one for each listener where they differ."""
        lists = self._rows.get(name, {})
        different = {tuple(found) for found in lists.values()}
        if len(different) <= 1:
            return {POLICIES: list(next(iter(different), ()))}
        return {f"{POLICIES} by {listener}": found for listener, found in lists.items()}


class Chains:
    """The chains among policies, each taken apart once, however deep they are in each other."""

    def __init__(self, policies: Table) -> None:
        self._policies = policies
        self._parts: dict[str, list[str]] = {}

    def apart(self, names: Iterable[str]) -> list[str]:
        """Take chains apart; each policy once, where it stands first."""
        return list(dict.fromkeys(part for name in names for part in self._of(name)))

    def _of(self, name: str) -> list[str]:
        waiting = [name]
        begun: set[str] = set()
        while waiting:
            one = waiting[-1]
            inner = self._inside(one)
            missing = [each for each in inner or () if each not in self._parts and each not in begun]
            begun.add(one)
            if missing and one not in self._parts:
                waiting += missing
                continue
            waiting.pop()
            if one not in self._parts:
                found = [one] if inner is None else [part for each in inner for part in self._parts.get(each, ())]
                self._parts[one] = list(dict.fromkeys(found))
        return self._parts[name]

    def _inside(self, name: str) -> list[str] | None:
        """Give what a chain names; None for what is no chain."""
        kind = kind_of(self._policies[name]) if name in self._policies else {}
        return list(kind["use"]) if kind.get("type") == "chain" else None


def kind_of(policy: Table) -> Table:
    """Give what is particular to the policy's type."""
    kind: Table = policy.get("kind", policy)
    return kind


@cache
def defaults(kind: str) -> Plain:
    """Give what an object of a kind says when its file says only what is required."""
    tables: dict[str, Callable[[], Plain]] = {
        "pylos": lambda: pylos_keys(lower_pylos(Pylos.model_validate({})), {}),
        "listen": lambda: listen_keys(lower_listen(Listen.model_validate({"bind": ""}))),
        "tls": lambda: tls_keys(lower_tls(Tls.model_validate({"cert": "."}), ())),
        "acme": lambda: acme_keys(lower_table(Acme.model_validate({}))),
        "upstream": lambda: upstream_keys(lower_upstream(Upstream.model_validate({"targets": [""]}))),
        "policy": lambda: policy_keys(lower_policy(Filter.model_validate({}), UNREAD)),
        "route": lambda: route_keys(lower_route(Route.model_validate({"match": "", "to": ""}))),
    }
    return tables[kind]() if kind in tables else {}


# -- each kind --------------------------------------------------------------------------------------------------------


def pylos_keys(pylos: Table, policies: Table) -> Plain:
    """`[pylos]`; its `use` shows in listeners and routes."""
    rest = {key: value for key, value in pylos.items() if key not in ("use", "access_log", "workers", "require")}
    keys = dict(flat(rest))
    keys["workers"] = pylos["workers"] or "auto"
    keys["require"] = sorted(Chains(policies).apart(pylos.get("require", [])))
    keys.update(flat({"access_log": False if pylos["access_log"] is None else pylos["access_log"]}))
    return keys


def listen_keys(listen: Table) -> Plain:
    """`[listen.NAME]`; to serve routes is what an absent `serve` means, and the only `tls` is its own `sni`."""
    keys = {key: value for key, value in listen.items() if key not in ("use", "tls_default") and value != ["proxy"]}
    if names := listen.get("tls"):
        keys["sni"] = listen["tls_default"] if listen["tls_default"] is not None else STRICT
        if [keys["sni"]] == names:
            del keys["sni"]
    return dict(flat(keys))


def tls_keys(tls: Table, wanted: Table | None = None) -> Plain:
    """`[tls.NAME]`; of a certificate what tells it from others. Its key is that of its certificate: nothing is said.

    Nor is anything of one that comes by itself: what is `wanted` is.
    """
    keys = {key: value for key, value in tls.items() if key not in ("certificates", "client")}
    if client := tls.get("client"):
        mode = "required" if client["required"] else "optional"
        rest = {key: value for key, value in client.items() if key not in ("required", "crls", "ca")}
        revoked = [revoked_apart(text) for text in client["crls"]]
        keys["client"] = {"ca": apart(client["ca"]), "mode": mode, "crl": revoked, **rest}
    if wanted is not None:
        return dict(flat({"acme": wanted["acme"], "domains": wanted["domains"], **keys}))
    return dict(flat({"cert": [told for one in tls["certificates"] for told in apart(one["chain"])], **keys}))


def acme_keys(acme: Table) -> Plain:
    """`[acme.NAME]`."""
    return dict(flat(acme))


def upstream_keys(upstream: Table) -> Plain:
    """`[upstream.NAME]`; of a certificate what tells it from others."""
    keys = {key: value for key, value in upstream.items() if key != "tls"}
    balance = upstream["balance"]
    if isinstance(balance, Mapping):  # an earlier version had a name
        keys["balance"] = balance if balance["hash"] else balance["algorithm"]
    if "panic_threshold" in upstream:
        keys["panic_threshold"] = percent(upstream["panic_threshold"])
    if "outliers" in upstream:
        keys["outliers"] = outliers_keys(upstream["outliers"]) if upstream["outliers"] else False
    if tls := upstream.get("tls"):  # an earlier version had none
        shown = None if tls["certificate"] is None else apart(tls["certificate"]["chain"])
        believed = None if tls["ca"] is None else apart(tls["ca"])
        skip = {} if tls["verify"] else {"insecure_skip_verify": True}
        keys["tls"] = {"ca": believed, "server_name": tls["server_name"], "cert": shown, **skip}
    return dict(flat(keys))


def outliers_keys(outliers: Table) -> Plain:
    """Give `outliers`, with its shares as percentages."""
    shares = {key: percent(outliers[key]) for key in ("share", "max_ejected") if outliers[key] is not None}
    return {**outliers, **shares}


def apart(text: str) -> list[str]:
    """Write what tells certificates in PEM from any other ones."""
    if not text:
        return []
    from pylos.config.x509 import told_apart  # noqa: PLC0415 - what it needs takes long to import

    return [told_apart(text)]


def revoked_apart(text: str) -> str:
    """Write what tells a list of revoked certificates from any other one."""
    from pylos.config.x509 import list_apart  # noqa: PLC0415 - what it needs takes long to import

    return list_apart(text)


def policy_keys(policy: Table) -> Plain:
    """`[policy.NAME]`; names of fields in lower case."""
    common = {key: value for key, value in policy.items() if key != "kind"} if "kind" in policy else {}
    kind = dict(kind_of(policy))
    if "rates" in kind:
        kind["rate"] = [Rate(**rate).text for rate in kind.pop("rates")]
    for side in kind.keys() & {"request", "response"}:
        edits = kind[side]
        kind[side] = {
            "remove": [name.lower() for name in edits["remove"]],
            **{verb: {name.lower(): value for name, value in edits[verb].items()} for verb in ("set", "add")},
        }
    return dict(flat({**common, **kind}))


def route_keys(route: Table) -> Plain:
    """`[route.NAME]` without the policies."""
    keys = {key: value for key, value in route.items() if key not in ("use", "without", "timeouts", "rewrite_re")}
    keys["match"] = [pattern(text) for text in route["match"]]
    keys["timeout"] = duration(route["timeouts"]["response"])
    keys["timeouts"] = {key: value for key, value in route["timeouts"].items() if key != "response"}
    if route.get("rewrite_re"):
        keys["rewrite"] = route["rewrite_re"]
    if route["respond"]:
        keys["respond"] = respond_keys(route["respond"])
    if route.get("when"):
        keys["when"] = {
            what: {spelled_name(what, name): condition(value) for name, value in found.items()}
            if isinstance(found, Mapping)
            else found
            for what, found in route["when"].items()
        }
    return dict(flat(keys))


def spelled_name(what: str, name: str) -> str:
    """Write the name that a condition is about: of fields, letter case says nothing."""
    return name.lower() if what == "header" else name


def test_keys(test: Table) -> Plain:
    """`[test.NAME]`; names of fields in lower case."""
    keys = dict(test)
    if "headers" in keys:
        keys["headers"] = {name.lower(): value for name, value in keys["headers"].items()}
    if "headers" in (expect := keys.get("expect", {})):
        keys["expect"] = {**expect, "headers": {name.lower(): value for name, value in expect["headers"].items()}}
    return dict(flat(keys))


def pattern(text: str) -> str:
    """Write a match with its methods in order and its host in lower case."""
    methods, _, rest = text.rpartition(" ")
    host, slash, path = rest.partition("/")
    written = ",".join(sorted({method.strip() for method in methods.split(",")}))
    return f"{written} {host.lower()}{slash}{path}".strip()


def condition(value: Table) -> object:
    """Write a condition of `when` as a file does."""
    if "re" in value:
        return f"re:{value['re']}"
    return value.get("exact", True)


def respond_keys(respond: Table) -> Plain:
    """Give a fixed answer, its body under the name of its kind."""
    keys = {"status": respond["status"], "headers": {key.lower(): value for key, value in respond["headers"].items()}}
    if respond["content_type"]:
        keys[BODIES.get(respond["content_type"].partition(";")[0], "text")] = respond["body"]
    return keys


BODIES = {"text/plain": "text", "text/html": "html", "application/json": "json"}


# -- values -----------------------------------------------------------------------------------------------------------


def flat(table: Table, lead: str = "", *, named: bool = False) -> Iterator[tuple[str, Any]]:
    """Give the keys of a table and of the tables in it, values as a file spells them. None is what is not there.

    `named`: the keys are names of a user's.
    """
    for key, value in table.items():
        if value is None:
            continue
        name, unit = (key, None) if named else unit_of(key, lead)
        path = f"{lead}{quoted(name)}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}.", named=named or key in NAMES)
        elif isinstance(value, list):
            texts = [entry_of(entry) for entry in value]
            if texts:
                yield path, texts if named or key in ORDERED else sorted(texts)
        else:
            yield path, in_unit(unit, value) if unit and isinstance(value, int) else value


def unit_of(key: str, lead: str) -> tuple[str, Unit | None]:
    """Give the key as a file has it, and the unit that its number is in."""
    if lead == "timeouts.":
        return key, DURATION
    if key.endswith("_ms"):
        return key.removesuffix("_ms"), DURATION
    if key.endswith("_bytes") or key in SIZES:
        return key.removesuffix("_bytes"), SIZE
    return key, None


SIZES = {"body_rate", "max_body"}


def entry_of(entry: object) -> str:
    """Write an entry of a list: a target that is only a URL is its URL."""
    if isinstance(entry, Mapping):
        more = {key: value for key, value in entry.items() if key != "url" and TARGET.get(key) != value}
        url = target(str(entry["url"]))
        return json.dumps({"url": url, **more}) if more else url
    return str(entry)


TARGET = {"weight": 1, "zone": None, "priority": 0, "backup": False}
"""What a target is whose URL alone is said."""


def percent(number: int) -> str:
    """Write a share as a file does."""
    return f"{number}%"


def target(url: str) -> str:
    """Write a target with its scheme and host in lower case, and without the slash that means nothing."""
    return url if url.startswith("unix:") else url.removesuffix("/").lower()


def in_unit(unit: Unit, number: int) -> str:
    """Write a number with the largest unit that leaves it whole."""
    name, scale = max(
        ((name, scale) for name, scale in unit.scale.items() if number % scale == 0), key=lambda found: found[1]
    )
    zero = "s" if unit is DURATION else "B"
    return f"{number // scale}{name}" if number else f"0{zero}"


def duration(ms: int) -> str:
    """Write milliseconds as a file does."""
    return in_unit(DURATION, ms)
