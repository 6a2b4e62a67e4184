"""Records by dynamic update (RFC 2136) with a signature (TSIG, RFC 8945)."""

from __future__ import annotations

import binascii
import socket
from collections.abc import Callable
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from pylos.supervisor.acme.dns_visible import canonical_name
from pylos.supervisor.acme.errors import AcmeError
from pylos.supervisor.acme.settings import DnsUpdate
from pylos.supervisor.acme.threads import Threads

TIMEOUT = 10.0
"""Seconds for an answer by UDP, and as many by TCP."""
HINTS = {
    dns.rcode.NOTAUTH: "the zone is not the server's, or it does not know the key",
    dns.rcode.REFUSED: "the key may not change the zone",
    dns.rcode.NOTZONE: "the name is not in the zone: `zone`",
}
NOT_SIGNED = "does the server know the key, by this name, with this secret and algorithm? Do the clocks agree?"
Change = Callable[[dns.update.UpdateMessage, dns.name.Name], None]


class Update:
    """Changes a zone at the server that the settings name.

    A name that is an alias (CNAME) stands for the one that it leads to: there an authority looks, and an alias itself
    takes no other records (RFC 2136 section 3.4.2.2). `resolvers` are asked for that, or those of the system.
    """

    def __init__(self, by: DnsUpdate, threads: Threads, resolvers: tuple[str, ...] = ()) -> None:
        self._by = by
        self._threads = threads
        self._resolvers = resolvers

    async def add(self, name: str, value: str) -> None:
        text, ttl = f'"{value}"', self._by.ttl
        await self._threads.run(self._change, name, lambda update, record: update.add(record, ttl, "TXT", text))

    async def remove(self, name: str, value: str) -> None:
        text = f'"{value}"'
        await self._threads.run(self._change, name, lambda update, record: update.delete(record, "TXT", text))

    def _change(self, name: str, change: Change) -> None:
        """Send one update. Blocks; raises AcmeError."""
        by = self._by
        told = f"dns-01: update of {name} at {by.server}:{by.port}"
        try:
            record = canonical_name(name, self._resolvers)
            if record != dns.name.from_text(name):
                told = f"dns-01: update of {record.to_text(omit_final_dot=True)}, for {name}, at {by.server}:{by.port}"
            server = _address(by.server, by.port)
            zone = dns.name.from_text(by.zone) if by.zone else self._zone(server, record)
            update = dns.update.UpdateMessage(zone, **self._key())
            change(update, record)
            code = self._send(update, server).rcode()
        except (OSError, EOFError, dns.exception.DNSException, binascii.Error, ValueError) as error:
            unsigned = isinstance(error, dns.exception.DNSException) and not isinstance(error, dns.exception.Timeout)
            hint = f" ({NOT_SIGNED})" if by.key_name is not None and unsigned else ""
            raise AcmeError(f"{told}: {str(error) or type(error).__name__}{hint}") from None
        if code != dns.rcode.NOERROR:
            told += f": {dns.rcode.to_text(code)}"
            raise AcmeError(f"{told} ({HINTS[code]})" if code in HINTS else told)

    def _key(self) -> dict[str, Any]:
        if self._by.key_name is None or self._by.key_secret is None:
            return {}
        ring = dns.tsigkeyring.from_text({self._by.key_name: self._by.key_secret})
        return {"keyring": ring, "keyalgorithm": dns.name.from_text(self._by.key_algorithm)}

    def _zone(self, server: str, name: dns.name.Name) -> dns.name.Name:
        """Find the zone of a name: the nearest name above it whose SOA this server has."""
        above = name
        while above != dns.name.root:
            question = dns.message.make_query(above, dns.rdatatype.SOA)
            question.flags &= ~dns.flags.RD
            answer = self._send(question, server)
            if any(found.rdtype == dns.rdatatype.SOA and found.name == above for found in answer.answer):
                return above
            above = above.parent()
        raise AcmeError(f"dns-01: {self._by.server}:{self._by.port} has no zone for {name}: name it, `zone`")

    def _send(self, message: dns.message.Message, server: str) -> dns.message.Message:
        """By UDP; where that is lost or too short, by TCP."""
        try:
            return dns.query.udp_with_fallback(message, server, TIMEOUT, self._by.port)[0]
        except dns.exception.Timeout:
            return dns.query.tcp(message, server, TIMEOUT, self._by.port)


def _address(server: str, port: int) -> str:
    """Give an address of a server. Raises OSError."""
    return str(socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0][4][0])
