"""Probes with a few bytes changed: there is no right answer to them, only things that must never happen."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from probes.observe import Observed
from probes.probe import Await, Fin, Probe, Reply
from probes.table import PROBES

LONGEST = 3000
PIECES = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\x7f",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b'"',
    b"/",
    b"..",
    b"%",
    b"%2e",
    b"?",
    b"#",
    b"0",
    b"chunked",
    b"HTTP/1.0",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 x\r\n\r\n",
    b"HTTP/1.1 101 x\r\n",
    b"Host: b\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\nConnection: te\r\n",
    b"Accept: text/html\r\n",
    b"User-Agent: x\r\n",
    b"X-Forwarded-For: 1.1.1.1\r\n",
    b"Via: x\r\n",
    b"Location: http://127.0.0.1/\r\n",
    b"Link: <http://127.0.0.1/>\r\n",
    b"Refresh: 1;url=http://127.0.0.1\r\n",
    b"Set-Cookie: a=b; Domain=127.0.0.1\r\n",
)


def mutants(seed: int, count: int) -> Iterator[Probe]:
    """So many changed probes, always the same ones for a seed; in each, the client and the upstream end their side."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    short = [probe for probe in PROBES if probe.size <= LONGEST and len(probe.reply.late) <= LONGEST]
    for number in range(count):
        probe = chance.choice(short)
        sent = b"".join(step for step in probe.steps if not isinstance(step, Await | Fin))
        reply = dataclasses.replace(probe.reply, close=True, echo=False)
        if reply.late and chance.random() < 0.4:
            reply = dataclasses.replace(reply, late=_changed(reply.late, chance))
        else:
            sent = _changed(sent, chance)
        yield _mutant(f"{seed}-{number}-{probe.name}", sent, reply, trickle=chance.random() < 0.2)


def _mutant(name: str, sent: bytes, reply: Reply, *, trickle: bool) -> Probe:
    return Probe(name, "", "", (sent, Fin()), (), reply=reply, trickle=trickle, follow=b"")


def _changed(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0 | 1:
                changed[at:at] = chance.choice(PIECES)
            case 2:
                del changed[at : at + chance.choice((1, 1, 2, 5, 20))]
            case 3:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 4:
                start = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[start : start + chance.randrange(40)]
            case _:
                del changed[at:]
    return bytes(changed)


def harm(seen: Observed) -> list[str]:
    """What no input may lead to: an open end, an unsound message on either side, an answer out of a defect."""
    found = [] if seen.closed else ["connection left open"]
    found += [flaw for request in seen.requests for flaw in request.flaws]
    found += [flaw for answer in seen.answers for flaw in answer.flaws]
    found += [f"status {answer.status}" for answer in seen.answers if answer.status == 500]
    return found
