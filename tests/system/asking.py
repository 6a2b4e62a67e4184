"""Gateways whose certificates come by themselves, the authority that they ask, and who looks at what they show."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from system.pebble import Names, Pebble, free_port
from system.serving import Serve, Serving
from typer.testing import CliRunner

from pylos.cli import app
from pylos.testing import RawClient

NAME = "shop.test"
SITE = '[route.site]\nmatch = "/{rest:path}"\nrespond = { text = "hello" }\n'
DOMAINS = '["shop.test", "www.shop.test"]'
ACME = """\
[pylos]
access_log = false
state = "{folder}/{machine}"
[listen.https]
bind = "127.0.0.1:{https}"
tls = "shop"
[listen.http]
bind = "127.0.0.1:{http}"
redirect = "https"
[tls.shop]
acme = "pebble"
domains = {domains}
[acme.pebble]
directory = "{directory}"
ca = "{ca}"
profile = "{profile}"
{more}
""" + SITE.replace("{", "{{").replace("}", "}}")


class Ground:
    """An authority that asks at two ports, and gateways there."""

    def __init__(self, folder: Path, dns: int, serve: Serve, **pebble: dict[str, Any]) -> None:
        self.folder, self._serve = folder, serve
        self.http, self.https = free_port(), free_port()
        self.pebble = Pebble(folder / "pebble", http=self.http, tls=self.https, dns=dns, **pebble)

    def serving(self, more: str = "", machine: str = "one", **other: object) -> Serving:
        """Start a gateway with what else is said of the authority; one that has other ports is not asked."""
        file = self.folder / f"{machine}.toml"
        said: dict[str, Any] = {"https": self.https, "http": self.http, "profile": "default", "domains": DOMAINS}
        said |= {"directory": self.pebble.directory, "ca": self.pebble.folder / "ca.pem", **other}
        file.write_text(ACME.format(folder=self.folder, machine=machine, more=more, **said))
        return self._serve(file, ["-n", machine])

    @property
    def trusted(self) -> ssl.SSLContext:
        return self.trusting()

    def trusting(self, root: int = 0) -> ssl.SSLContext:
        """Trust one of its roots alone. They are other ones each time that it is started."""
        return trusting(self.pebble.manage(f"/roots/{root}").decode())


class Grounds:
    """Makes them. `names` is a name server at which every name is here."""

    def __init__(self, folder: Path, serve: Serve, names: Names, stack: ExitStack) -> None:
        self.names = names
        self._folder, self._serve, self._stack = folder, serve, stack

    def __call__(self, name: str = "ground", *, dns: int | None = None, **pebble: dict[str, Any]) -> Ground:
        """Make one whose authority asks this name server, and is not started yet."""
        (folder := self._folder / name).mkdir()
        found = Ground(folder, dns or self.names.port, self._serve, **pebble)
        self._stack.callback(found.pebble.stop)
        return found


@contextmanager
def grounds(folder: Path, serve: Serve) -> Iterator[Grounds]:
    """All that was started there is stopped at the end."""
    with ExitStack() as stack:
        names = Names(folder / "names")
        stack.callback(names.stop)
        yield Grounds(folder, serve, names.start(), stack)


def pylos(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def trusting(root: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=root)


def shown(serving: Serving, trusted: ssl.SSLContext, name: str = NAME) -> x509.Certificate:
    """Give the certificate that a client is shown which verifies it, and see that the gateway answers."""
    with RawClient(str(serving.ready["listen"]["https"][0]), tls=trusted, server_name=name) as client:
        assert client.tls
        found = client.tls.getpeercert(binary_form=True)
        assert client.get("/").body == b"hello"
    assert found
    return x509.load_der_x509_certificate(found)
