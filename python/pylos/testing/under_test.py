"""A gateway under test: the real one, on free ports, which can be asked where requests would go."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, Unpack
from urllib.parse import urlsplit

from pylos.config import Config, Loaded, load, load_text
from pylos.config.explain import Beside
from pylos.errors import PylosError
from pylos.gateway import Gateway, Output, Source
from pylos.quantities import DURATION
from pylos.testing.caller import Asked
from pylos.testing.exercised import Use
from pylos.testing.fitted import (
    StandIn,
    Table,
    fitted,
    on_free_ports,
    out_of_reach,
    with_stand_ins,
    without_authorities,
)
from pylos.testing.message import Fields
from pylos.testing.told import Told


class GatewayUnderTest(Gateway):
    """A `pylos.Gateway` for tests, with the real data plane.

        with ScriptedUpstream() as web, GatewayUnderTest(Path("gateway.toml"), upstreams={"web": web}) as running:
            ...

    A file, or a program, is made fit for a test: its listeners are on free ports of loopback, its Unix sockets and the
    file of its access log in a temporary folder, and an upstream that is neither named in `upstreams` nor on this
    machine is out of reach (502). All else is as it is written, and the file stays untouched. Where nothing had to be
    changed, the file is watched as by `pylos serve`. TOML text and a `Config` are a test's own: they are taken as they
    are, but for what is named here.

    `upstreams`: stand-ins by name: a fake, a URL or several; they are asked by no health check.
    `trusted_proxies`: added to those of the configuration. With "127.0.0.1", clients of the test may have any address.
    `environ`: where variables of a file are looked up, instead of the environment.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        config: Source,
        *,
        upstreams: Mapping[str, StandIn] | None = None,
        trusted_proxies: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        stdout: Output = None,
        stderr: Output = None,
    ) -> None:
        self._config = config
        self._upstreams, self._trusted, self._environ = dict(upstreams or {}), list(trusted_proxies), environ
        self._folder: Path | None = None
        self._ports: dict[int, str] = {}
        self._uses: list[Use] = []
        self._use: Use | None = None
        fit, use = self._fit(config)
        self._begin(use)
        super().__init__(fit, stdout=stdout, stderr=stderr)

    @classmethod
    def from_toml(  # noqa: PLR0913 - as the constructor
        cls,
        text: str,
        *,
        upstreams: Mapping[str, StandIn] | None = None,
        trusted_proxies: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        stdout: Output = None,
        stderr: Output = None,
    ) -> Self:
        """Take a configuration written as TOML text; raises ConfigError."""
        return cls(
            load_text(text, "<text>", environ=environ),
            upstreams=upstreams,
            trusted_proxies=trusted_proxies,
            stdout=stdout,
            stderr=stderr,
        )

    def stop(self, *, drain: bool = True) -> int:
        """End it and give the exit code; what it was asked counts for the coverage."""
        try:
            return super().stop(drain=drain)
        finally:
            for use in self._uses:
                use.end()
            self._uses.clear()

    def reload(self, config: Source | None = None) -> None:
        """Put another configuration into use, or read the same file again, made fit in the same way.

        Of the stand-ins, another one takes those that it has upstreams for.
        """
        chosen = self._config if config is None else config
        ports = self._ports
        try:
            fit, use = self._fit(chosen)
            super().reload(fit)
        except PylosError:
            self._ports = ports
            raise
        self._begin(use)
        self._config = chosen

    def explain(self, method: str, url: str = "", **beside: Unpack[Beside]) -> Told:
        """Tell where a request would go, and why: `explain("GET https://shop.example.com/orders/7")`.

        `headers`, `peer` (the address that the connection comes from), `listener` and `as_` say more of the request.
        A port in the URL means the listener that has it in the file. All other routes that come near are told.
        """
        if not url:
            method, _, url = (asked := method).partition(" ")
            if not url:
                raise PylosError(f'a request is a method and a URL, "GET https://shop.example.com/", not `{asked}`')
        port = urlsplit(url).port
        if port in self._ports and beside.get("listener") is None:
            beside["listener"] = self._ports[port]
        beside.setdefault("nearest", MOST_ROUTES)
        told = Told.of(super().explain(method, url, **beside))
        if self._use is not None:
            self._use.explained(told)
        return told

    def advance(self, duration: str) -> None:
        """Put the gateway's time forward, "61s": what takes so long has taken it when this returns.

        That is for how long decisions are remembered and targets left alone, for limits, for health checks, which come
        when they are due, and for all timeouts of connections that are open, but not for the `timeout` of a policy in
        Python. The time of the test, of upstreams, and of policies goes on as it does.
        """
        self._line.ask({"type": "advance", "ms": DURATION.parse(duration)})

    def answered(self, listener: str | None) -> Asked:
        """Give what a client of a listener tells its requests to, so that a coverage knows all about them."""

        def tell(method: str, path: str, headers: Fields, peer: str | None) -> None:
            if self._use is not None:
                self._use.asked(listener, method, path, headers, peer)

        return tell

    # -- inside -------------------------------------------------------------------------------------------------------

    def _fit(self, config: Source) -> tuple[Source, Use | None]:
        """Make a configuration fit: what the supervisor is to be told, and what a coverage has of it."""
        path = None if isinstance(config, Config | Loaded) else str(config)
        loaded = config if isinstance(config, Loaded) else load(config, environ=self._environ)

        def edit(table: Table) -> None:
            if path is not None:
                on_free_ports(table, self._temporary)
                out_of_reach(table, self._upstreams, self._temporary)
            needed = self._upstreams.keys() & table["upstream"] if config is not self._config else self._upstreams
            with_stand_ins(table, {name: self._upstreams[name] for name in needed})
            added = [one for one in self._trusted if one not in table["pylos"]["trusted_proxies"]]
            table["pylos"]["trusted_proxies"] += added

        ours = without_authorities(fitted(loaded, edit))
        self._ports = _ports_of(loaded.table)
        use = next((last for last in self._uses[-1:] if last.is_of(ours)), None)
        use = use or Use.of(ours, path, len(self._uses))
        if use is not None:
            ours = use.with_log(ours, self._temporary)
        untouched = ours is loaded and self._environ is None
        return (config if path is not None and untouched else ours), use

    def _begin(self, use: Use | None) -> None:
        """Count for another table from now on."""
        if self._use is not None and self._use is not use:
            self._use.leave()
        self._use = use
        if use is not None and use not in self._uses:
            self._uses.append(use)

    def _temporary(self) -> Path:
        """Give a folder that is there as long as this gateway is."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="pylos-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


MOST_ROUTES = 1_000_000


def _ports_of(table: Table) -> dict[int, str]:
    """Give the listener of each port that the file has."""
    ports = {
        int(bind.rpartition(":")[2]): name
        for name, listen in reversed(table["listen"].items())  # of two with the same port the first is meant
        for bind in listen["bind"]
        if not bind.startswith("unix:")
    }
    ports.pop(0, None)
    return ports
