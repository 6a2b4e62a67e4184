"""The configuration of the gateway, as it stands after so many reloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soak.targets import TargetProcess

WORKERS = 4
DRAIN_SECONDS = 60
RATE, BURST = 20, 40
"""Of the limit: requests a second, and at once."""

POLICIES = '''"""A policy of the soak: tells the upstream the token of the request."""

from pylos import Allow, Request, policy


@policy
async def stamp(request: Request) -> Allow:
    return Allow(headers={"x-policy": request.params["t"][0]})
'''

TEXT = """\
[pylos]
workers = {workers}
drain = "{drain}s"
access_log = {{ path = "{log}" }}

[listen.http]
bind = "127.0.0.1:{port}"
timeouts = {{ header = "5s", body_idle = "20s" }}

[listen.ops]
bind = "127.0.0.1:{admin_port}"
serve = ["metrics", "health"]

[upstream.steady]
targets = [{steady}]
pool = {{ idle = "2s" }}
health = {{ path = "/health", every = "1s", timeout = "20s" }}

[upstream.shaky]
targets = [{shaky}]
pool = {{ idle = "2s" }}
health = {{ path = "/health", every = "1s", timeout = "5s", fall = 2, rise = 1 }}
timeouts = {{ connect = "5s", first_byte = "5s", idle = "5s" }}

[policy.stamp]
type = "python"
call = "soak_policies:stamp"
timeout = "20s"

[policy.bounded]
type = "rate_limit"
rate = "{rate}/s"
burst = {burst}
key = "request.route"

[route.steady]
match = "/steady/{{rest:path}}"
to = "steady"

[route.shaky]
match = "/shaky/{{rest:path}}"
to = "shaky"

[route.stamped]
match = "/stamped/{{rest:path}}"
to = "steady"
use = ["stamp"]

[route.bounded]
match = "/bounded/{{rest:path}}"
to = "steady"
use = ["bounded"]

[route.number]
match = "/number"
respond = {{ text = "{number}" }}
"""
LISTENER = '[listen.more{name}]\nbind = "127.0.0.1:{port}"\n'
ROUTE = '[route.more{name}]\nmatch = "/more/{name}"\nrespond = {{ text = "{name}" }}\n'


@dataclass(frozen=True)
class Document:
    """What may change. `number` tells one from the other, and the gateway answers with it."""

    port: int
    admin_port: int
    steady: tuple[TargetProcess, ...]
    shaky: tuple[TargetProcess, ...]
    log: Path
    number: int = 0
    workers: int = WORKERS
    listeners: tuple[int, ...] = ()
    """Ports of listeners beside the first one."""
    drain: int = DRAIN_SECONDS
    routes: frozenset[int] = frozenset()

    def text(self) -> str:
        """Spell it."""
        whole = TEXT.format(
            workers=self.workers,
            log=self.log,
            port=self.port,
            admin_port=self.admin_port,
            steady=_urls(self.steady),
            shaky=_urls(self.shaky),
            drain=self.drain,
            rate=RATE,
            burst=BURST,
            number=self.number,
        )
        more = [LISTENER.format(name=port, port=port) for port in self.listeners]
        more += [ROUTE.format(name=name) for name in sorted(self.routes)]
        return "\n".join([whole, *more])


def _urls(targets: tuple[TargetProcess, ...]) -> str:
    return ", ".join(f'"{target.url}"' for target in targets)
