"""A checked document to the table that the gateway compiles: defaults filled in, milliseconds and bytes, plain names.

Field for field what crates/core/src/table/raw.rs reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pylos.config.material import NOTHING, Material, Outward, Trusted
from pylos.config.pem import Pair
from pylos.config.policies import UNREAD, Traits
from pylos.config.problems import holds
from pylos.errors import KeyPath
from pylos.model import (
    AccessLog,
    Balance,
    Chain,
    ClientCertificates,
    Document,
    FieldEdits,
    Filter,
    Headers,
    Health,
    Limits,
    Listen,
    Mtls,
    Outliers,
    Policy,
    Pylos,
    Python,
    RateLimit,
    Redirect,
    Respond,
    RewriteRe,
    Route,
    Secret,
    Target,
    Tls,
    Upstream,
    UpstreamTls,
    When,
)
from pylos.model.base import many
from pylos.model.domain import is_address
from pylos.model.listen import USUAL_PORT
from pylos.model.rate import rate_of
from pylos.model.units import milliseconds, percent, size_bytes
from pylos.model.when import Condition

Table = dict[str, Any]


def lower(
    document: Document,
    traits: Mapping[str, Traits] | None = None,
    material: Material = NOTHING,
) -> Table:
    """Lower a whole document, with the traits of the policies in Python, as far as they could be read."""
    traits = traits or {}
    secure = https_port(document.listen.values())
    return {
        "version": 1,
        "pylos": lower_pylos(document.pylos),
        "listen": {name: lower_listen(listen, secure) for name, listen in document.listen.items()},
        "tls": {
            name: lower_tls(tls, material.pairs.get(name, ()), material.clients.get(name))
            for name, tls in document.tls.items()
        },
        "upstream": {
            name: lower_upstream(upstream, material.outward.get(name)) for name, upstream in document.upstream.items()
        },
        "policy": {name: lower_policy(policy, traits.get(name, UNREAD)) for name, policy in document.policy.items()},
        "route": {name: lower_route(route) for name, route in document.route.items()},
    }


def lower_pylos(pylos: Pylos) -> Table:
    log = pylos.access_log
    return {
        "workers": 0 if pylos.workers == "auto" else pylos.workers,
        "trusted_proxies": pylos.trusted_proxies,
        "access_log": {"path": log.path} if isinstance(log, AccessLog) else None,
        "use": pylos.use,
        "require": pylos.require,
        "zone": pylos.zone,
        "drain_ms": milliseconds(pylos.drain),
        "memory": 0 if pylos.memory is None else size_bytes(pylos.memory),
        "lanes": pylos.lanes,
        "lane_memory": size_bytes(pylos.lane_memory),
        "state": pylos.state,
        "secret": None if pylos.secret is None else pylos.secret.file,
        "user": pylos.user,
    }


def lower_listen(listen: Listen, https: int = USUAL_PORT) -> Table:
    """Lower a listener; `https` is the port to which those that name none redirect."""
    timeouts = listen.timeouts
    return {
        "bind": many(listen.bind),
        "mode": listen.mode,
        "serve": ["proxy"] if listen.serve is None else list(listen.serve),
        "admin_token": None if listen.admin_token is None else listen.admin_token.reveal(),
        **lower_listen_tls(listen),
        "redirect_port": redirect_port(listen, https),
        "use": listen.use,
        "limits": lower_limits(listen.limits),
        "timeouts": {
            "header": milliseconds(timeouts.header),
            "idle": milliseconds(timeouts.idle),
            "body_idle": milliseconds(timeouts.body_idle),
            "send_idle": milliseconds(timeouts.send_idle),
            "client_fin": milliseconds(timeouts.client_fin),
            "handshake": milliseconds(timeouts.handshake),
        },
    }


def lower_limits(limits: Limits) -> Table:
    return {
        "line_bytes": size_bytes(limits.line),
        "header_bytes": size_bytes(limits.header),
        "fields": limits.fields,
        "connections": limits.connections,
        "connections_per_address": limits.connections_per_address,
        "body_rate": size_bytes(limits.body_rate),
        "body_bytes": size_bytes(limits.body),
        "handshakes": limits.handshakes,
    }


def lower_listen_tls(listen: Listen) -> Table:
    names = many(listen.tls)
    default = names[0] if listen.sni is None and names else listen.sni
    return {"tls": names, "tls_default": None if default == STRICT else default}


STRICT = "strict"
"""What `sni` says where nobody answers clients that ask for a name of nobody."""


def redirect_port(listen: Listen, https: int) -> int | None:
    """Give the port of `redirect`; None where there is none."""
    if listen.redirect is None:
        return None
    return int(listen.redirect.partition(":")[2] or https)


def https_port(listeners: Iterable[Listen]) -> int:
    """Give the port of those that speak TLS to clients, if it is the same one and known, else the usual one."""
    bound = [bind for listen in listeners if listen.tls and listen.serve is None for bind in many(listen.bind)]
    ports = {bind.rpartition(":")[2] for bind in bound if not bind.startswith("unix:")}
    port = ports.pop() if len(ports) == 1 else ""
    return int(port) if port.isdecimal() and 0 < int(port) < 1 << 16 else USUAL_PORT


def lower_tls(tls: Tls, pairs: Sequence[Pair], clients: Trusted | None = None) -> Table:
    return {
        "certificates": [lower_pair(pair) for pair in pairs] or stand_ins(tls),
        "profile": tls.profile,
        "tickets": tls.tickets,
        "client": None if tls.client is None else lower_client(tls.client, clients),
    }


def lower_pair(pair: Pair) -> Table:
    return {"names": pair.names, "chain": pair.chain, "key": pair.key}


def stand_ins(tls: Tls) -> list[Table]:
    """Stand in for what comes by itself: a certificate with its names, and nothing in it. Who serves puts it in."""
    if tls.acme is None:
        return []
    names = [domain for domain in dict.fromkeys(tls.domains or ()) if not is_address(domain)]
    return [{"names": names, "chain": "", "key": ""}]


def lower_client(client: ClientCertificates, clients: Trusted | None) -> Table:
    """Lower what clients have to show. Without those who are believed, nobody would be let in."""
    return {
        "ca": "" if clients is None else clients.ca,
        "required": client.mode == "required",
        "crls": [] if clients is None else list(clients.crls),
        "crl_scope": client.crl_scope,
        "forward": client.forward,
    }


def lower_upstream(upstream: Upstream, outward: Outward | None = None) -> Table:
    pool, timeouts = upstream.pool, upstream.timeouts
    return {
        "targets": [lower_target(target) for target in upstream.targets],
        "balance": lower_balance(upstream.balance),
        "slow_start_ms": milliseconds(upstream.slow_start),
        "panic_threshold": percent(upstream.panic_threshold),
        "outliers": lower_outliers(upstream.outliers) if isinstance(upstream.outliers, Outliers) else None,
        "max_requests": upstream.max_requests,
        "health": lower_health(upstream.health) if isinstance(upstream.health, Health) else None,
        "host": upstream.host,
        "tls": None if upstream.tls is None else lower_upstream_tls(upstream.tls, outward or Outward()),
        "pool": {
            "max_idle": pool.max_idle,
            "max_connections": pool.max_connections,
            "idle_ms": milliseconds(pool.idle),
            "max_age_ms": milliseconds(pool.max_age),
        },
        "timeouts": {
            "connect": milliseconds(timeouts.connect),
            "first_byte": milliseconds(timeouts.first_byte),
            "idle": milliseconds(timeouts.idle),
            "send_idle": milliseconds(timeouts.send_idle),
        },
    }


def lower_upstream_tls(tls: UpstreamTls, outward: Outward) -> Table:
    return {
        "ca": outward.ca,
        "server_name": tls.server_name,
        "certificate": None if outward.pair is None else lower_pair(outward.pair),
        "verify": not tls.insecure_skip_verify,
    }


def lower_target(target: str | Target) -> Table:
    target = Target.model_validate({"url": target}) if isinstance(target, str) else target
    return {
        "url": lower_url(target.url),
        "weight": target.weight,
        "zone": target.zone,
        "priority": target.priority,
        "backup": target.backup,
    }


def lower_url(url: str) -> str:
    """Give a target its scheme: `host:port` means HTTP."""
    return url if "://" in url or url.startswith("unix:") else f"http://{url}"


def lower_balance(balance: str | Balance) -> Table:
    if isinstance(balance, str):
        return {"algorithm": balance, "hash": None, "bound": None}
    return {"algorithm": balance.algorithm, "hash": balance.hash, "bound": balance.bound}


def lower_outliers(outliers: Outliers) -> Table:
    return {
        "errors": outliers.errors,
        "share": None if outliers.share is None else percent(outliers.share),
        "requests": outliers.requests,
        "over_ms": milliseconds(outliers.over),
        "eject_ms": milliseconds(outliers.eject),
        "longest_ms": milliseconds(outliers.longest),
        "max_ejected": percent(outliers.max_ejected),
        "statuses": [str(status) for status in outliers.statuses],
    }


def lower_health(health: Health) -> Table:
    every = milliseconds(health.every)
    return {
        "path": health.path,
        "host": health.host,
        "headers": health.headers,
        "statuses": None if health.statuses is None else [str(status) for status in health.statuses],
        "body": health.body,
        "send": health.send,
        "expect": health.expect,
        "every_ms": every,
        "fast_ms": min(every, max(every // 4, FAST)) if health.fast is None else milliseconds(health.fast),
        "timeout_ms": milliseconds(health.timeout),
        "fall": health.fall,
        "rise": health.rise,
    }


FAST = 500
"""Milliseconds that a check which nobody has told to be faster waits at least."""


def lower_policy(policy: Policy, traits: Traits) -> Table:
    return {
        "enforce": 100 if isinstance(policy, Chain) else policy.enforce,
        "if": None if isinstance(policy, Chain) else policy.if_,
        "kind": {"type": policy.type, **lower_kind(policy, traits)},
    }


def lower_kind(policy: Policy, traits: Traits) -> Table:
    match policy:
        case Headers():
            return {
                "request": lower_edits(policy.request),
                "response": lower_edits(policy.response),
                "preset": policy.preset,
            }
        case Filter():
            return {
                "allow_ip": policy.allow_ip,
                "deny_ip": policy.deny_ip,
                "deny_path": policy.deny_path,
                "allow_methods": policy.allow_methods,
                "max_body": None if policy.max_body is None else size_bytes(policy.max_body),
            }
        case RateLimit():
            rates = [rate_of(rate) for rate in many(policy.rate)]
            return {
                "rates": [rate._asdict() for rate in rates],
                "burst": rates[0].requests if policy.burst is None and rates else policy.burst,
                "key": many(policy.key),
            }
        case Mtls():
            return {}
        case Python():
            return {
                "call": policy.call,
                "phase": traits.phase,
                "timeout_ms": milliseconds(policy.timeout),
                "on_error": policy.on_error,
                "body_bytes": traits.body,
                "lane": traits.lane or "",
                "concurrency": policy.concurrency,
                "queue": policy.queue,
                "settings": policy.settings,
                "code": traits.code,
            }
        case Chain():
            return {"use": policy.use}


def lower_edits(edits: FieldEdits) -> Table:
    return {"set": lower_fields(edits.set), "add": lower_fields(edits.add), "remove": edits.remove}


def lower_fields(fields: Mapping[str, str | Secret]) -> dict[str, str]:
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in fields.items()}


def lower_route(route: Route) -> Table:
    return {
        "match": many(route.match),
        "when": None if route.when is None else lower_when(route.when),
        "priority": route.priority,
        "to": route.to,
        "redirect": None if route.redirect is None else lower_redirect(route.redirect),
        "respond": None if route.respond is None else lower_respond(route.respond),
        "rewrite": route.rewrite if isinstance(route.rewrite, str) else None,
        "rewrite_re": lower_rewrite_re(route.rewrite) if isinstance(route.rewrite, RewriteRe) else None,
        "strip": route.strip,
        "use": route.use,
        "without": route.without,
        "timeouts": {
            "response": milliseconds(route.timeout),
            "total": milliseconds(route.timeouts.total),
            "tunnel_idle": milliseconds(route.timeouts.tunnel_idle),
        },
        "upgrade": [token.lower() for token in route.upgrade],
    }


def lower_when(when: When) -> Table:
    return {
        "header": {name: lower_condition(value) for name, value in when.header.items()},
        "query": {name: lower_condition(value) for name, value in when.query.items()},
        "cookie": {name: lower_condition(value) for name, value in when.cookie.items()},
        "ip": when.ip,
    }


def lower_condition(condition: Condition) -> Table:
    if condition is True:
        return {"present": True}
    kind, expression, text = condition.partition("re:")
    return {"re": text} if expression and not kind else {"exact": condition}


def lower_rewrite_re(rewrite: RewriteRe) -> Table:
    return {"re": rewrite.re, "to": rewrite.to}


def lower_redirect(redirect: str | Redirect) -> Table:
    if isinstance(redirect, str):
        redirect = Redirect.model_validate({"to": redirect})
    return {"to": redirect.to, "status": redirect.status}


def lower_respond(respond: Respond) -> Table:
    body, content_type = "", ""
    if respond.text is not None:
        body, content_type = respond.text, "text/plain; charset=utf-8"
    elif respond.html is not None:
        body, content_type = respond.html, "text/html; charset=utf-8"
    elif "json_" in respond.model_fields_set:
        body = json.dumps(respond.json_, ensure_ascii=False, separators=(",", ":"))
        content_type = "application/json"
    return {"status": respond.status, "body": body, "content_type": content_type, "headers": respond.headers}


def file_path(path: KeyPath, document: Mapping[str, Any]) -> KeyPath:
    """Translate a path of the table into one of the document, cut off where the document says less."""
    if path[:1] == ("route",) and path[2:] == ("timeouts", "response"):
        path = (*path[:2], "timeout")
    if path[:1] == ("policy",) and path[2:3] == ("kind",):
        path = (*path[:2], *path[3:])
    found: list[str | int] = []
    value: Any = document
    for step in path:
        key = step if isinstance(step, int) else spelling(step, value)
        if not holds(value, key):
            break
        value = value[key]
        found.append(key)
    # A table that says nothing about the key is still the place to look at.
    return tuple(found)


def spelling(step: str, table: object) -> str:
    """Give the key of the document: the table's own name, that without its unit, or the body under its kind."""
    candidates = [step, step.removesuffix("_ms"), step.removesuffix("_bytes"), step.removesuffix("_re")]
    if step == "body":
        candidates = ["text", "json", "html"]
    return next((key for key in candidates if isinstance(table, dict) and key in table), step)
