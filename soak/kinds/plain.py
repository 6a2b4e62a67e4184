"""Small requests, over a kept connection and over a new one."""

from __future__ import annotations

from soak.incidents import RECOVERY, Effect
from soak.kinds.client import Client
from soak.ledger import Wrong
from soak.messages import Head
from soak.wire import Connection, fresh, same

SMALL = 2000
TARGETS_FAILED = (502, 503, 504)


async def small(client: Client) -> None:
    """GET over the kept connection."""
    seed, size = client.chance.randrange(1 << 20), client.chance.randrange(SMALL)
    async with client.ledger.asking("small") as asked:

        async def talk(connection: Connection) -> Head:
            await connection.ask("GET", "/steady/give", asked, f"&seed={seed}&size={size}")
            head = await connection.head(asked)
            same(await connection.body(head), seed, size)
            return head

        await client.kept.exchange(talk)


async def newcomer(client: Client) -> None:
    """GET over a connection of its own."""
    seed = client.chance.randrange(1 << 20)
    async with client.ledger.asking("newcomer") as asked, fresh(client.port) as connection:
        await connection.ask("GET", "/steady/give", asked, f"&seed={seed}&size=100", {"Connection": "close"})
        same(await connection.body(await connection.head(asked)), seed, 100)
        if await connection.reader.read():
            raise Wrong("more than an answer came")


async def shaky(client: Client) -> None:
    """GET from targets that are hurt: it may fail, but not be wrong."""
    seed, size = client.chance.randrange(1 << 20), client.chance.randrange(SMALL)
    async with client.ledger.asking("shaky", Effect.HURTS_TARGETS) as asked, fresh(client.port) as connection:
        await connection.ask("GET", "/shaky/give", asked, f"&seed={seed}&size={size}")
        head = await connection.head(asked, (200, *TARGETS_FAILED))
        body = await connection.body(head)
        if head.status == 200:
            same(body, seed, size)
        elif not client.ledger.explains(Effect.HURTS_TARGETS, asked.began, RECOVERY):
            raise Wrong(f"status {head.status}, and no target was hurt")
