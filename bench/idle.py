"""A client that opens many connections, asks once on each, and keeps them."""

import select
import socket
import ssl
from contextlib import ExitStack

from bench.process import BenchError, believing

REQUEST = b"GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n"


def open_connections(stack: ExitStack, port: int, count: int, *, tls: bool = False) -> list[socket.socket]:
    """One after the other; the stack closes them."""
    context = believing() if tls else None
    return [_open_one(stack, port, context) for _ in range(count)]


def _open_one(stack: ExitStack, port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    stack.enter_context(connection)
    connection.sendall(REQUEST)
    answer = b""
    while (missing := missing_bytes(answer)) != 0:
        piece = connection.recv(65536)
        if not piece:
            raise BenchError(f"a connection was closed; {missing} bytes were missing")
        answer += piece
    return connection


def missing_bytes(answer: bytes) -> int | None:
    """How many bytes are missing from an answer that states its length; None while the head is not whole."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value) - len(body)
    raise BenchError(f"an answer without Content-Length:\n{head!r}")


def still_open(connections: list[socket.socket]) -> int:
    """Count those that cannot be read: an idle connection that can be was closed by the proxy."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(connections) - len(poll.poll(0))
