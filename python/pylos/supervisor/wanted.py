"""What a configuration says about certificates that come by themselves, as the client of authorities takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pylos.model.acme import LOCAL, host_and_port
from pylos.supervisor.acme import Authority, Dns, DnsCommand, DnsFunction, DnsUpdate, ExternalAccount, Wanted

Plain = Mapping[str, Any]


def is_local(acme: Plain, name: str) -> bool:
    """Whether this machine itself is the authority of a `tls`."""
    return bool(acme["tls"][name]["acme"] == LOCAL)


def storage_of(acme: Plain, name: str) -> Path | None:
    """Give the folder that is named for a `tls`; None is the usual one."""
    table = acme["tables"].get(acme["tls"][name]["acme"])
    return None if table is None or table["storage"] is None else Path(table["storage"])


def wanted_of(acme: Plain, name: str, folder: Path) -> Wanted:
    """Say what is wanted for a `tls`; functions are looked for in a folder. Raises SettingsError."""
    own, domains = acme["tls"][name]["acme"], tuple(acme["tls"][name]["domains"])
    if own == LOCAL:
        return Wanted(name, domains, (Authority(LOCAL, LOCAL),))
    table = acme["tables"][own]
    names = dict.fromkeys([own, *table["fallback"]])
    return Wanted(
        name,
        domains,
        tuple(authority_of(one, acme["tables"][one]) for one in names),
        key_type=table["key_type"],
        challenges=tuple(table["challenges"]),
        dns=None if table["dns"] is None else dns_of(table["dns"], folder),
    )


def authority_of(name: str, table: Plain) -> Authority:
    eab = table["eab"]
    return Authority(
        name,
        table["directory"],
        email=table["email"],
        eab=None if eab is None else ExternalAccount(eab["key_id"], eab["key"]),
        ca=None if table["ca"] is None else Path(table["ca"]),
        profile=table["profile"],
        preferred_chain=table["preferred_chain"],
        staging=table["staging"],
    )


def dns_of(dns: Plain, folder: Path) -> Dns:
    timeout = dns["timeout_ms"] / 1000
    by: DnsUpdate | DnsCommand | DnsFunction
    if dns["update"] is not None:
        by = update_of(dns["update"])
    elif dns["command"] is not None:
        by = DnsCommand(tuple(dns["command"]), timeout)
    else:
        by = DnsFunction(dns["call"], timeout, folder)
    return Dns(by, tuple(dns["resolvers"]), dns["wait_ms"] / 1000)


def update_of(update: Plain) -> DnsUpdate:
    host, port = host_and_port(update["server"])
    return DnsUpdate(
        host,
        port,
        zone=update["zone"],
        key_name=update["key_name"],
        key_secret=update["key"],
        key_algorithm=update["algorithm"],
        ttl=max(1, round(update["ttl_ms"] / 1000)),
    )
