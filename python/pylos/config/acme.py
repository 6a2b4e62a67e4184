"""Certificates that come by themselves: whether what is wanted can be had, and the same for who gets them.

The gateway's table has nothing of it. Beside the table stands

    {"tables": {NAME of acme: {...}}, "tls": {NAME of tls: {"acme": NAME, "domains": [...]}}}

where all defaults are filled in, times are in milliseconds and files are found. Its secrets are in plain text, at
places that `secrets.py` lists. To check that, neither the network nor what is stored is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pylos.config.problems import Report
from pylos.model import Acme, Dns, DnsUpdate, Document
from pylos.model.acme import LOCAL
from pylos.model.domain import is_address, is_wildcard
from pylos.model.units import milliseconds

Plain = dict[str, Any]


def check_acme(document: Document, report: Report) -> None:
    """Report certificates that no authority can give, and a table with the name of the one that needs none."""
    if LOCAL in document.acme:
        hint = f'give it another name; `acme = "{LOCAL}"` is the authority of this machine, and needs no table'
        report.add("P108", ("acme", LOCAL), f"`{LOCAL}` is no authority that can be described", hint=hint, part="key")
    for name, tls in document.tls.items():
        acme = document.acme.get(tls.acme or "")
        unread = {("acme", str(tls.acme), key) for key in ("challenges", "dns")}
        if acme is None or not unread.isdisjoint(report.tables):
            continue
        for index, domain in enumerate(tls.domains or ()):
            if (found := unprovable(domain, acme)) is not None:
                message, hint = found
                report.add("P124", report.written(("tls", name, "domains", index)), message, hint=hint)


def unprovable(domain: str, acme: Acme) -> tuple[str, str] | None:
    """Say why none of the challenges can prove a domain, and what to do: RFC 8555, 7.1.3, and RFC 8738, 7."""
    if is_wildcard(domain) and "dns-01" not in acme.challenges:
        hint = 'add "dns-01" to its `challenges`, and `dns`'
        return f"`{domain}` is a wildcard, which is proven by `dns-01` alone", hint
    if is_address(domain) and set(acme.challenges) == {"dns-01"}:
        hint = 'add "http-01" or "tls-alpn-01" to its `challenges`'
        return f"`{domain}` is an address, which is not proven by `dns-01`", hint
    return None


def lower_acme(document: Document, report: Report) -> Plain:
    """Give what is wanted, and all tables, named or not; {} where there is neither."""
    wanted = {
        name: {"acme": tls.acme, "domains": list(dict.fromkeys(tls.domains))}
        for name, tls in document.tls.items()
        if tls.acme is not None and tls.domains
    }
    tables = {name: lower_table(acme, authorities_of(name, acme, report)) for name, acme in document.acme.items()}
    return {"tables": tables, "tls": wanted} if tables or wanted else {}


def lower_table(acme: Acme, ca: Path | None = None) -> Plain:
    """Lower one table; `ca` is its file as it was found."""
    eab = acme.eab
    return {
        "email": acme.email,
        "directory": acme.directory,
        "eab": None if eab is None else {"key_id": eab.key_id, "key": eab.key.reveal()},
        "fallback": acme.fallback,
        "challenges": acme.challenges,
        "dns": None if acme.dns is None else lower_dns(acme.dns),
        "key_type": acme.key_type,
        "profile": acme.profile,
        "preferred_chain": acme.preferred_chain,
        "ca": None if ca is None else str(ca),
        "staging": acme.staging,
        "storage": acme.storage,
    }


def authorities_of(name: str, acme: Acme, report: Report) -> Path | None:
    """Find the file of `ca`: a relative path starts at the folder of the configuration."""
    if acme.ca is None:
        return None
    return Path(report.places.place(report.written(("acme", name, "ca")), "value").file).parent / acme.ca


def lower_dns(dns: Dns) -> Plain:
    return {
        "update": None if dns.update is None else lower_update(dns.update),
        "command": dns.command,
        "call": dns.call,
        "timeout_ms": milliseconds(dns.timeout),
        "resolvers": dns.resolvers,
        "wait_ms": milliseconds(dns.wait),
    }


def lower_update(update: DnsUpdate) -> Plain:
    return {
        "server": update.server,
        "zone": update.zone,
        "key_name": update.key_name,
        "key": None if update.key is None else update.key.reveal(),
        "algorithm": update.algorithm,
        "ttl_ms": milliseconds(update.ttl),
    }


def secrets_of_acme(acme: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """List the places of its secrets."""
    for name, table in acme.get("tables", {}).items():
        if table["eab"] is not None:
            yield ("acme", "tables", name, "eab", "key")
        if ((table["dns"] or {}).get("update") or {}).get("key") is not None:
            yield ("acme", "tables", name, "dns", "update", "key")
