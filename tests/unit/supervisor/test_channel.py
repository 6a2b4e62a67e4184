import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from pylos.supervisor.channel import MOST_DESCRIPTORS, Channel, ChannelError


def with_channel(story: Callable[[Channel, socket.socket], Awaitable[None]]) -> None:
    """Run a story about a channel and the raw other end."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(ours)
        with theirs:
            theirs.settimeout(5)
            try:
                await asyncio.wait_for(story(channel, theirs), 10)
            finally:
                channel.close()

    asyncio.run(run())


def test_a_message_is_a_length_and_json() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        await channel.send({"type": "stop"})
        assert other.recv(100) == b"\x00\x00\x00\x0f" + b'{"type":"stop"}'

    with_channel(story)


def test_descriptors_come_with_the_first_byte() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        read, write = os.pipe()
        await channel.send({"type": "apply"}, [read, write])
        first, descriptors, _, _ = socket.recv_fds(other, 1, 10)
        assert (first, len(descriptors)) == (b"\x00", 2)
        os.write(descriptors[1], b"the same pipe")
        assert os.read(read, 100) == b"the same pipe"
        for descriptor in (read, write, *descriptors):
            os.close(descriptor)

    with_channel(story)


def test_descriptors_wait_for_room_in_a_full_socket() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        filling = asyncio.create_task(channel.send({"type": "apply", "table": "x" * 3_000_000}))
        read, write = os.pipe()
        sending = asyncio.create_task(channel.send({"type": "apply"}, [read]))
        await asyncio.sleep(0)
        length = 3_000_000 + len('{"type":"apply","table":""}') + 4
        await asyncio.to_thread(read_exactly, other, length)
        await filling
        await sending
        _, descriptors, _, _ = socket.recv_fds(other, 1, 10)
        for descriptor in (read, write, *descriptors):
            os.close(descriptor)
        assert len(descriptors) == 1

    with_channel(story)


def test_a_large_message_arrives_whole_in_small_pieces() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        body = b'{"type":"status","text":"' + b"y" * 1_000_000 + b'"}'
        sending = asyncio.create_task(asyncio.to_thread(other.sendall, len(body).to_bytes(4, "big") + body))
        message = await channel.receive()
        await sending
        assert message is not None
        assert len(message["text"]) == 1_000_000

    with_channel(story)


def test_two_messages_at_once_are_two() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        one = b'\x00\x00\x00\x0e{"type":"one"}'
        other.sendall(one + one)
        assert [await channel.receive(), await channel.receive()] == [{"type": "one"}] * 2

    with_channel(story)


def test_the_end_between_messages_is_none() -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        other.close()
        assert await channel.receive() is None

    with_channel(story)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x00\x00", id="ends in a length"),
        pytest.param(b"\x00\x00\x00\x05{}", id="ends in a body"),
        pytest.param(b"\xff\xff\xff\xff", id="an absurd length"),
        pytest.param(b"\x00\x00\x00\x02[]", id="no object"),
        pytest.param(b"\x00\x00\x00\x02{}", id="no type"),
        pytest.param(b"\x00\x00\x00\x02{x", id="no JSON"),
    ],
)
def test_what_is_no_message(sent: bytes) -> None:
    async def story(channel: Channel, other: socket.socket) -> None:
        other.sendall(sent)
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(ChannelError):
            await channel.receive()

    with_channel(story)


def test_too_many_descriptors_are_a_mistake_of_the_caller() -> None:
    async def story(channel: Channel, _: socket.socket) -> None:
        with pytest.raises(ValueError, match="at most 250"):
            await channel.send({"type": "apply"}, [0] * (MOST_DESCRIPTORS + 1))

    with_channel(story)


def read_exactly(sock: socket.socket, count: int) -> None:
    while count:
        count -= len(sock.recv(min(count, 65536)))
