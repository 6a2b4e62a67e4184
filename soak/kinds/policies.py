"""Routes with policies: one in Python, and a limit."""

from __future__ import annotations

import time

from soak.document import BURST, DRAIN_SECONDS, RATE
from soak.incidents import RECOVERY, Effect
from soak.kinds.client import Client
from soak.ledger import Ledger, Wrong
from soak.messages import Head
from soak.wire import Connection


async def stamped(client: Client) -> None:
    """GET from a route whose policy writes the request's token into a field."""
    async with client.ledger.asking("stamped", Effect.LOSES_LANES) as asked:

        async def talk(connection: Connection) -> Head:
            await connection.ask("GET", "/stamped/", asked)
            head = await connection.head(asked, (200, 503))
            await connection.body(head)
            if head.status == 503:
                _must_be_lost(client.ledger, asked.began, head)
            elif head.fields.get("x-policy") != asked.token:
                raise Wrong(f"the policy wrote {head.fields.get('x-policy')!r}")
            return head

        await client.kept.exchange(talk)


def _must_be_lost(ledger: Ledger, began: float, head: Head) -> None:
    if not ledger.explains(Effect.LOSES_LANES, began, RECOVERY):
        raise Wrong(f"503, {head.fields.get('pylos-reason')}, and no lane was lost")


async def bounded(client: Client) -> None:
    """GET from a route with a limit."""
    async with client.ledger.asking("bounded") as asked:

        async def talk(connection: Connection) -> Head:
            await connection.ask("GET", "/bounded/", asked)
            head = await connection.head(asked, (200, 429, 503))
            await connection.body(head)
            if head.status == 503:
                _must_have_moved(client.ledger, asked.began, head)
            if head.status == 200:
                client.ledger.admitted += 1
            return head

        await client.kept.exchange(talk)


def _must_have_moved(ledger: Ledger, began: float, head: Head) -> None:
    moved = head.fields.get("pylos-reason") == "limits_moved"
    if not (moved and ledger.explains(Effect.MOVES_LIMITS, began, DRAIN_SECONDS)):
        raise Wrong(f"503, {head.fields.get('pylos-reason')}, and no limit has moved")


def check_limit(ledger: Ledger, began: float, gateways: int) -> None:
    """Find whether more passed than the limit lets pass, of so many gateway processes one after the other."""
    most = gateways * BURST + RATE * (time.monotonic() - began)
    if ledger.admitted > most:
        ledger.breach(f"a limit let {ledger.admitted} requests pass, at most {most:.0f} were to")
