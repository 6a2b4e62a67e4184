"""Pylos as a subject of the table: its defaults in front of one upstream."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylos.gateway import Gateway

CONFIG = """
[pylos]
version = 1
access_log = {{ path = "/dev/null" }}

[listen.http]
bind = "127.0.0.1:0"

[listen.ops]
bind = "127.0.0.1:0"
serve = ["metrics", "health"]

[upstream.app]
targets = ["http://127.0.0.1:{upstream}"]
health = false

[route.all]
match = "/{{rest:path}}"
to = "app"
"""


class Pylos:
    """The gateway of this checkout, with the interface of a peer."""

    name = "Pylos"

    @property
    def installed(self) -> bool:
        """Is there a built core?"""
        return importlib.util.find_spec("pylos") is not None and importlib.util.find_spec("pylos._core") is not None

    def version(self) -> str:
        """Such as "Pylos 0.1.0"."""
        from pylos import _core  # noqa: PLC0415 - the table runs against peers without a built core

        return f"{self.name} {_core.version()}"

    def gateway(self, upstream: int) -> Gateway:
        """A gateway in front of this port, not started yet."""
        from pylos.gateway import Gateway  # noqa: PLC0415 - as above

        return Gateway.from_toml(CONFIG.format(upstream=upstream))

    @contextmanager
    def running(self, upstream: int) -> Iterator[tuple[str, int]]:
        """Start it; gives its own address."""
        with self.gateway(upstream) as gateway:
            host, port = gateway.address().rsplit(":", 1)
            yield (host, int(port))
