"""A configuration made fit for a test: on this machine, on free ports, with stand-ins for its upstreams.

The file itself stays as it is; its table is changed, and only in what would leave the test.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pylos.config import Loaded
from pylos.config.compiled import compile_sound
from pylos.errors import PylosError


class Reachable(Protocol):
    """Something with a URL: every upstream of this package."""

    @property
    def url(self) -> str:
        """The target as a configuration spells it."""
        ...


StandIn = str | Reachable | Sequence[str | Reachable]
"""What a test puts in the place of an upstream's targets: a fake, a URL, or several."""

Table = dict[str, Any]
FREE = "127.0.0.1:0"


def fitted(loaded: Loaded, edit: Callable[[Table], None]) -> Loaded:
    """Give a document with an edited table; the same one where the edit changes nothing."""
    table = copy.deepcopy(loaded.table)
    edit(table)
    return loaded if table == loaded.table else replace(loaded, table=table, compiled=compile_sound(table))


def without_authorities(loaded: Loaded) -> Loaded:
    """Ask nobody for certificates: those that come by themselves are stand-ins, which sign themselves."""
    return replace(loaded, acme={}) if loaded.acme else loaded


def on_free_ports(table: Table, folder: Callable[[], Path]) -> None:
    """Move every listener to a free port of loopback, a Unix socket and the access log's file into a folder.

    What a gateway of production keeps, and who it is, is not for a test.
    """
    for name, listen in table["listen"].items():
        binds = enumerate(listen["bind"])
        listen["bind"] = [_moved(bind, f"{name}-{index}.sock", folder) for index, bind in binds]
    table["pylos"].update(dict.fromkeys(("state", "secret", "user")))
    log = table["pylos"]["access_log"]
    if log is not None and log["path"] != "-":
        log["path"] = str(folder() / "access.log")


def _moved(bind: str, name: str, folder: Callable[[], Path]) -> str:
    if bind.startswith("unix:"):
        return f"unix:{folder() / name}"
    return bind if is_here(bind) and bind.endswith(":0") else FREE


def with_stand_ins(table: Table, upstreams: Mapping[str, StandIn]) -> None:
    """Put stand-ins in the places of upstreams. They are asked by no health check."""
    unknown = sorted(upstreams.keys() - table["upstream"].keys())
    if unknown:
        known = ", ".join(f"`{name}`" for name in sorted(table["upstream"])) or "none"
        raise PylosError(f"no upstream `{unknown[0]}` to put a stand-in for; there are: {known}")
    for name, stand_in in upstreams.items():
        _set_targets(table["upstream"][name], urls_of(stand_in))


def out_of_reach(table: Table, named: Iterable[str], folder: Callable[[], Path]) -> None:
    """Cut upstreams off that are not named and not on this machine: no test speaks with what serves others."""
    for name in table["upstream"].keys() - set(named):
        upstream = table["upstream"][name]
        if not all(is_here(target["url"]) for target in upstream["targets"]):
            _set_targets(upstream, [f"unix:{folder() / f'no-stand-in-for-{name}'}"])


def _set_targets(upstream: Table, urls: Iterable[str]) -> None:
    upstream["targets"] = [{"url": url} for url in urls]
    upstream["health"] = None


def urls_of(stand_in: StandIn) -> list[str]:
    """Give the URLs of stand-ins."""
    several = [stand_in] if isinstance(stand_in, str) or not isinstance(stand_in, Sequence) else stand_in
    urls = [one if isinstance(one, str) else one.url for one in several]
    return [url if "://" in url or url.startswith("unix:") else f"http://{url}" for url in urls]


def is_here(address: str) -> bool:
    """Whether an address is one of this machine: loopback, `localhost`, or a Unix socket."""
    if address.startswith("unix:"):
        return True
    host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
