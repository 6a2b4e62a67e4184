"""Clients that leave in the middle, at any place."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from soak.kinds.client import Client
from soak.ledger import LOST
from soak.wire import Connection


async def leaver(client: Client) -> None:
    """Begin something and leave, with a FIN or a reset. It expects nothing, and nobody may notice."""
    try:
        connection = await Connection.open(client.port)
    except ConnectionRefusedError:
        client.ledger.breach("the connection of a client was refused")
        return
    except LOST:
        return
    with suppress(*LOST):  # the gateway was killed just then
        await client.chance.choice([_in_the_head, _in_the_body, _in_the_answer, _at_once])(connection)
    if client.chance.random() < 0.5:
        connection.reset()
    else:
        connection.close()
    client.ledger.left += 1


async def _in_the_head(connection: Connection) -> None:
    connection.writer.write(b"GET /steady/give?seed=1&size=1000 HTTP/1.1\r\nHost: so")
    await connection.writer.drain()


async def _in_the_body(connection: Connection) -> None:
    connection.writer.write(
        b"POST /steady/take?seed=1&size=1000 HTTP/1.1\r\nHost: soak\r\nContent-Length: 1000\r\n\r\nhalf"
    )
    await connection.writer.drain()


async def _in_the_answer(connection: Connection) -> None:
    connection.writer.write(b"GET /steady/give?seed=1&size=1000000 HTTP/1.1\r\nHost: soak\r\n\r\n")
    await connection.writer.drain()
    await asyncio.wait_for(connection.reader.read(1000), 30)


async def _at_once(_: Connection) -> None:
    pass
