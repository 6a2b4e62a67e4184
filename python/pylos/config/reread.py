"""Certificates of a configuration in use are read again: its own file is not looked at, whatever that says by now.

So a new certificate comes to a configuration that was put there by a rollback or over the admin API, and brings nothing
else along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from pylos.config.certificates import read_material
from pylos.config.lower import Table, lower_pair
from pylos.config.material import Material
from pylos.config.problems import Part, Report, message_of
from pylos.errors import ConfigError, KeyPath, Place, Problem, PylosError
from pylos.model import Document, Tls, Upstream, UpstreamTls

STANDS_FOR_ACME = {"acme": "local", "domains": ["localhost"]}
"""Of a `tls` without files of its own; its certificates are left as they are."""


class Found(NamedTuple):
    """What was read."""

    material: Material
    warnings: list[Problem]


class Nowhere:
    """Places of what stands in no file. Files are named as they were found: from here on nothing is beside them."""

    def place(self, path: KeyPath, part: Part) -> Place:  # noqa: ARG002 - as `Places` has it
        return Place("the configuration in use")


def read_again(named: Mapping[str, Any], name: str) -> Found:
    """Read what `Material.named` says, for a configuration of this name. Raises PylosError, most often ConfigError."""
    report = Report(Nowhere())
    try:
        document = Document(
            tls={
                one: Tls.model_validate({**STANDS_FOR_ACME, **said} if "cert" not in said else said)
                for one, said in named.get("tls", {}).items()
            },
            upstream={
                one: Upstream.model_construct(targets=[], tls=UpstreamTls.model_validate(said))
                for one, said in named.get("upstream", {}).items()
                if said
            },
        )
    except ValidationError as error:  # of what was sound before: a secret that is not there any more
        raise PylosError(f"{name}: {message_of(error.errors()[0])}") from None
    material = read_material(document, report)
    if report.wrong:
        raise ConfigError(report.problems, material.files)
    silent = {tuple(path) for path in named.get("silence", ())}
    told = [] if ("pylos",) in silent else [one for one in report.problems if one.path[:2] not in silent]
    return Found(material, told)


def with_material(table: Table, material: Material) -> Table:
    """Give a table with what was read in the place of what it has."""
    tls, upstream = dict(table["tls"]), dict(table["upstream"])
    for name, pairs in material.pairs.items():
        if pairs:
            tls[name] = {**tls[name], "certificates": [lower_pair(pair) for pair in pairs]}
    for name, clients in material.clients.items():
        client = {**tls[name]["client"], "ca": clients.ca, "crls": list(clients.crls)}
        tls[name] = {**tls[name], "client": client}
    for name, outward in material.outward.items():
        shown = None if outward.pair is None else lower_pair(outward.pair)
        upstream[name] = {**upstream[name], "tls": {**upstream[name]["tls"], "ca": outward.ca, "certificate": shown}}
    return {**table, "tls": tls, "upstream": upstream}
