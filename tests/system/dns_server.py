"""A name server with one zone that takes signed updates (RFC 2136); every name in the zone is 127.0.0.1."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update


class Zone:
    """What the server knows. `updates` are the TXT records that were added and removed, in order."""

    def __init__(self, name: str, key_name: str, secret: str) -> None:
        self.name = dns.name.from_text(name)
        self.ring = dns.tsigkeyring.from_text({key_name: secret})
        self.texts: dict[dns.name.Name, set[str]] = {}
        self.updates: list[tuple[str, str]] = []
        self.aliases: dict[str, str] = {}
        self.by_udp = True
        """Whether updates by UDP are answered; those by TCP always are."""

    def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        """Answer one message; None where it is to be lost."""
        try:
            question = dns.message.from_wire(wire, keyring=self.ring)
        except (dns.message.UnknownTSIGKey, dns.tsig.BadSignature):
            return self._refusal(wire)
        if question.opcode() == dns.opcode.UPDATE:
            return self._update(cast(dns.update.UpdateMessage, question), udp=udp)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        asked = question.question[0]
        name = asked.name
        if (alias := self.aliases.get(name.to_text(omit_final_dot=True))) is not None:
            answer.answer.append(dns.rrset.from_text(name, 1, "IN", "CNAME", f"{alias}."))
            name = dns.name.from_text(alias)
        for text in self._found(name, asked.rdtype):
            kind = dns.rdatatype.to_text(asked.rdtype)
            answer.answer.append(dns.rrset.from_text(name, 1, "IN", kind, text))
        return answer.to_wire()

    def _found(self, name: dns.name.Name, kind: int) -> list[str]:
        if kind == dns.rdatatype.SOA and name == self.name:
            return ["ns.test. me.test. 1 60 60 60 60"]
        if kind == dns.rdatatype.A and name.is_subdomain(self.name):
            return ["127.0.0.1"]
        if kind == dns.rdatatype.TXT:
            return [f'"{text}"' for text in sorted(self.texts.get(name, ()))]
        return []

    def _refusal(self, wire: bytes) -> bytes:
        """Say NOTAUTH without a signature (RFC 8945 section 5.2.1)."""
        made = dns.message.Message(struct.unpack("!H", wire[:2])[0])
        made.flags = dns.flags.QR
        made.set_opcode(dns.opcode.UPDATE)
        made.set_rcode(dns.rcode.NOTAUTH)
        return made.to_wire()

    def _update(self, message: dns.update.UpdateMessage, *, udp: bool) -> bytes | None:
        if udp and not self.by_udp:
            return None
        answer = dns.message.make_response(message)
        if not message.had_tsig:
            answer.set_rcode(dns.rcode.REFUSED)
        elif message.zone[0].name != self.name:
            answer.set_rcode(dns.rcode.NOTAUTH)
        else:
            for change in message.update:
                self._change(change)
        return answer.to_wire()

    def _change(self, change: dns.rrset.RRset) -> None:
        values = self.texts.setdefault(change.name, set())
        for record in change:
            text = b"".join(record.strings).decode()
            added = change.deleting is None
            (values.add if added else values.discard)(text)
            self.updates.append(("add" if added else "remove", change.name.to_text(omit_final_dot=True)))


@contextmanager
def name_server(zone: Zone) -> Iterator[int]:
    """Serve a zone by UDP and TCP on one port."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            if (answer := zone.answer(data, udp=True)) is not None:
                socket.sendto(answer, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            answer = zone.answer(self.rfile.read(length), udp=False) or b""
            self.wfile.write(struct.pack("!H", len(answer)) + answer)

    with ExitStack() as stack:
        tcp = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp))
        udp = stack.enter_context(socketserver.ThreadingUDPServer(tcp.server_address, Udp))
        for server in (tcp, udp):
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield int(tcp.server_address[1])
