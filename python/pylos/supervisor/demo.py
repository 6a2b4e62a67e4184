"""`pylos demo`: three sample services, a gateway over them, and what to try with curl."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

from pylos.config import load_text
from pylos.supervisor.run import Ready
from pylos.supervisor.serve import supervise

CONFIG = """\
[listen.http]
bind = "127.0.0.1:{port}"

[listen.ops]                                  # metrics and health, apart from the traffic
bind = "127.0.0.1:0"
serve = ["metrics", "health"]

[upstream.web]                                # two servers take turns; a dead one is left out
targets = ["{web_1}", "{web_2}"]
health = {{ path = "/healthz", every = "1s" }}

[upstream.orders]
targets = ["{orders}"]

[policy.security]
type = "headers"
preset = "security"
response = {{ set = {{ x-served-by = "pylos" }} }}

[policy.read_only]
type = "filter"
allow_methods = ["GET", "HEAD"]

[route.site]
match = "/{{rest:path}}"
to = "web"
use = ["security"]

[route.orders]
match = "/api/orders/{{rest:path}}"
to = "orders"
strip = "/api"
use = ["security", "read_only"]

[route.old_orders]
match = "/orders.php"
redirect = {{ to = "/api/orders/", status = 308 }}

[route.hello]
match = "/hello/{{name}}"
respond = {{ json = {{ message = "no server was asked for this" }} }}
"""

TRY = """
Try in another terminal:

  curl -i {url}/                       two servers take turns
  curl -i {url}/api/orders/17          the prefix /api is stripped on the way
  curl -i -X DELETE {url}/api/orders/17    a filter refuses it, and says why
  curl -i {url}/orders.php             a redirect
  curl -i {url}/hello/you              an answer without any server
  curl    {ops}/metrics
  kill -9 {gateway}                         the gateway process is replaced, no connection is refused

Ctrl-C ends it.

"""


def run(port: int = 8080) -> int:
    """Run the demo until Ctrl-C; gives the exit code. Port 0 takes a free one."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(service(name)) for name in ("web_1", "web_2", "orders")}
        text = CONFIG.format(port=port, **urls)
        sys.stdout.write(f"The configuration of this demo:\n\n{indented(text)}\n")
        sys.stdout.flush()
        code = supervise(load_text(text, "the demo's configuration"), on_ready=invite)
    if code and port:
        sys.stderr.write("try another port: pylos demo --port 9000\n")
    return code


def invite(ready: Ready) -> None:
    """Say what to try, now that it serves."""
    [web], [ops] = ready["listen"]["http"], ready["listen"]["ops"]
    sys.stdout.write(TRY.format(url=f"http://{web}", ops=f"http://{ops}", gateway=ready["gateway"]))
    sys.stdout.flush()


def indented(text: str) -> str:
    """Set a block off from what is said about it."""
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


@contextmanager
def service(name: str) -> Iterator[str]:
    """Run a sample service on a free port, in threads; gives its URL."""
    handler = type("Handler", (SampleService,), {"name": name})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class SampleService(BaseHTTPRequestHandler):
    """Tells in JSON who answers, and what came in."""

    name: ClassVar[str]
    protocol_version = "HTTP/1.1"
    server_version = "sample"

    def do_GET(self) -> None:
        """Answer a GET."""
        body = json.dumps(
            {"service": self.name, "method": self.command, "path": self.path, "headers": dict(self.headers.items())},
            indent=2,
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body + b"\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing: the gateway writes the log."""
