"""The document of gateway.toml, built in Python: `python examples/python/gateway.py`."""

from __future__ import annotations

import pylos

DEPARTMENTS = ["books", "music", "toys"]

config = pylos.Config(
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
    upstream={"shop": pylos.Upstream(targets=["http://127.0.0.1:8001", "http://127.0.0.1:8002"])},
    policy={"readers": pylos.Filter(allow_methods=["GET", "HEAD"])},
    route={name: pylos.Route(match=f"/{name}/{{rest:path}}", to="shop", use=["readers"]) for name in DEPARTMENTS},
)

if __name__ == "__main__":
    with pylos.Gateway(config) as gateway:
        input(f"{gateway.url()} is served, Enter ends it\n")
