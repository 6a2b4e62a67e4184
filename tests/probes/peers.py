"""nginx and HAProxy from the machine, each on a port of its own with a configuration of ours.

Both do the job that Pylos does by default: keep upstream connections, set X-Forwarded-For, and hand WebSocket
upgrades through. Everything else is their default.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

START_SECONDS = 10.0

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_host $host_port {{ default ""; "~(?<digits>:[0-9]+)$" $digits; }}
  map $http_upgrade $token {{ default ""; "~*^websocket$" websocket; }}
  map $http_upgrade $option {{ default ""; "~*^websocket$" upgrade; }}
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Host $host$host_port;
      proxy_set_header Upgrade $token;
      proxy_set_header Connection $option;
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  option forwardfor
frontend front
  bind 127.0.0.1:{port}
  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:{upstream}
"""


@dataclass(frozen=True)
class Peer:
    """A proxy that the table can be run against."""

    name: str
    program: str
    config: str
    arguments: Callable[[Path, Path], list[str]]
    version_flag: str

    @property
    def installed(self) -> bool:
        """Is the program on this machine?"""
        return self._path() is not None

    def version(self) -> str:
        """Such as "nginx 1.22.1"."""
        done = subprocess.run([self._path() or "", self.version_flag], capture_output=True, text=True, check=True)
        found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
        return f"{self.name} {found[0] if found else '?'}"

    @contextmanager
    def running(self, upstream: int) -> Iterator[tuple[str, int]]:
        """Start it in front of this port; gives its own address."""
        with TemporaryDirectory(prefix="pylos-probes-") as folder:
            port = free_port()
            config = Path(folder, "peer.conf")
            config.write_text(self.config.format(folder=folder, port=port, upstream=upstream))
            command = [self._path() or "", *self.arguments(config, Path(folder))]
            with Path(folder, "output").open("wb") as output:
                process = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                wait_for(port, process)
                yield ("127.0.0.1", port)
            finally:
                process.terminate()
                process.wait(START_SECONDS)

    def _path(self) -> str | None:
        return shutil.which(self.program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def free_port() -> int:
    """A port that was free a moment ago: these programs cannot tell which one they were given for port 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it accepts; they give no sign of their own."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


PEERS = (
    Peer("nginx", "nginx", NGINX, lambda config, folder: ["-p", str(folder), "-c", str(config)], "-v"),
    Peer("HAProxy", "haproxy", HAPROXY, lambda config, _: ["-db", "-f", str(config)], "-v"),
)
