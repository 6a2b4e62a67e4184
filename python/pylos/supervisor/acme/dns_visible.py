"""Whether a record is seen where an authority will look for it: at the zone's own servers, or at named resolvers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.query
import dns.rdatatype
import dns.resolver

from pylos.supervisor.acme.errors import MOST_TOLD, AcmeError, shown
from pylos.supervisor.acme.threads import Threads

TIMEOUT = 3.0
"""Seconds for an answer."""
FIRST_LOOK, LAST_LOOK = 0.2, 5.0
"""Seconds between looks, doubling."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is asked."""

    address: str
    port: int = 53

    @classmethod
    def read(cls, text: str) -> Server:
        """Read `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`."""
        host, colon, port = text.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
            return cls(host.strip("[]"), int(port))
        return cls(text.strip("[]"))

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


async def until_visible(name: str, value: str, resolvers: tuple[str, ...], patience: float, threads: Threads) -> None:
    """Wait until all servers that can be reached show a TXT record, at least one. Raises AcmeError when it is late."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + patience, FIRST_LOOK
    while True:
        seen = await threads.run(_look, name, resolvers)
        if isinstance(seen, dict) and seen and all(value in values for values in seen.values()):
            return
        if loop.time() + pause > deadline:
            raise AcmeError(f"dns-01: {name} does not show {value} after {patience:g} s; {_told(seen)}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LAST_LOOK)


def canonical_name(name: str, resolvers: tuple[str, ...]) -> dns.name.Name:
    """Give the name that another one is an alias of; itself where that is not known. Blocks."""
    try:
        resolver = dns.resolver.Resolver(configure=not resolvers)
        if resolvers:
            servers = [Server.read(text) for text in resolvers]
            resolver.nameservers = [dns.nameserver.Do53Nameserver(server.address, server.port) for server in servers]
        resolver.lifetime = TIMEOUT
        return resolver.canonical_name(name)
    except (dns.exception.DNSException, OSError, ValueError):
        return dns.name.from_text(name)


def _look(name: str, resolvers: tuple[str, ...]) -> dict[Server, list[str]] | str:
    """Ask all servers once: what each shows, of those that answer; or why none could be asked. Blocks."""
    try:
        asked, servers = (name, [Server.read(text) for text in resolvers]) if resolvers else _authoritative(name)
    except (dns.exception.DNSException, OSError) as error:
        return f"the servers of its zone are not found: {error}"
    seen = {}
    for server in servers:
        try:
            seen[server] = _values(asked, server, recurse=bool(resolvers))
        except (dns.exception.DNSException, OSError, EOFError):
            continue
    return seen or f"no answer from {', '.join(map(str, servers))}"


def _values(name: str, server: Server, *, recurse: bool) -> list[str]:
    """Give the texts of the TXT records of a name, as a server shows them."""
    question = dns.message.make_query(name, dns.rdatatype.TXT)
    if not recurse:
        question.flags &= ~dns.flags.RD
    answer, _ = dns.query.udp_with_fallback(question, server.address, TIMEOUT, server.port)
    texts = [record for found in answer.answer if found.rdtype == dns.rdatatype.TXT for record in found]
    return [b"".join(text.strings).decode(errors="replace") for text in texts]


def _authoritative(name: str) -> tuple[str, list[Server]]:
    """Find the name that another one is an alias of (CNAME), and the addresses of its zone's servers."""
    resolver = dns.resolver.Resolver()
    canonical = resolver.canonical_name(name)
    zone = dns.resolver.zone_for_name(canonical, resolver=resolver, lifetime=TIMEOUT * 3)
    found = []
    for record in resolver.resolve(zone, "NS"):
        found += [Server(address) for address in resolver.resolve_name(record.target).addresses()]
    return canonical.to_text(), found


def _told(seen: dict[Server, list[str]] | str) -> str:
    if isinstance(seen, str):
        return seen
    return "; ".join(
        f"{server} shows {', '.join(map(shown, values[:MOST_TOLD])) or 'nothing'}" for server, values in seen.items()
    )
