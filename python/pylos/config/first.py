"""A first configuration to grow from: what it says holds, what it could say stands in its comments."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pylos.config.variables import literal

HEAD = """\
# The configuration of a Pylos gateway. `pylos check` looks at it, `pylos serve` runs it, and a change is taken over at
# once. The order of the tables means nothing.
#
# For an editor that completes and explains keys: `pylos schema > pylos.schema.json`, and as the first line of this file
# `#:schema ./pylos.schema.json`.

[listen.http]
bind = "127.0.0.1:8080"  # "0.0.0.0:8080" for clients on other machines
"""
SITE = """
# The servers that answer. With several of them, each takes its turn.
[upstream.web]
targets = [{targets}]
# health = {{ path = "/healthz" }}  # asks each of them every 5 s, and leaves out one that does not answer

# `/{{rest:path}}` is every path, of any host: "www.example.com/{{rest:path}}" would be one host's alone.
[route.site]
match = "/{{rest:path}}"
to = "web"
"""
HELLO = """
# `/{rest:path}` is every path, of any host: "www.example.com/{rest:path}" would be one host's alone.
[route.hello]
match = "/{rest:path}"
respond = { text = "hello from Pylos\\n" }

# To proxy to a server, name it and let a route lead to it:
#
# [upstream.web]
# targets = ["http://localhost:8000"]
#
# [route.site]
# match = "/{rest:path}"
# to = "web"
"""
TEST = """
# Where a request has to go: a configuration whose tests fail is not used.
[test.home]
request = "GET /"
expect = {{ route = "{route}" }}
"""


def first(targets: Sequence[str]) -> str:
    """Write a document that proxies to the targets, or without any answers itself."""
    listed = ", ".join(quoted(target) for target in targets)
    body = SITE.format(targets=listed) if targets else HELLO
    return HEAD + body + TEST.format(route="site" if targets else "hello")


def quoted(text: str) -> str:
    """Write a string in TOML, in which nothing is a variable."""
    return json.dumps(literal(text), ensure_ascii=False).replace("\x7f", "\\u007f")
