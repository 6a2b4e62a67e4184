"""The admin API over the control socket: HTTP/1.1 of the strictest kind, one request a connection.

The socket is that of the commands, and the first byte tells them apart: a message of theirs begins with the highest
byte of a length below 64 MiB, a request with a letter. So there is one path to know, one owner, one lock and one bound
of askers. Bodies have a Content-Length; whatever else a message may be, a client that means it well does not need it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from pylos.errors import PylosError
from pylos.supervisor.api.message import MOST_BODY, Answer, ProblemError, Request, problem_of
from pylos.supervisor.api.operations import OPERATIONS
from pylos.supervisor.api.resource import Api, answer

MOST_HEAD = 16 << 10
"""Bytes of a request's head."""
REQUEST_SECONDS = 30.0
"""How long a request may take until it is whole, and an answer until it is taken."""

REQUEST_LINE = re.compile(r"([A-Z]{1,20}) (/[!-~]*) (HTTP/1\.[01])")
FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~\x80-\xff](?:[ \t]*[!-~\x80-\xff])*)?)[ \t]*")
LENGTH = re.compile(r"[0-9]{1,12}")


async def is_http(connection: socket.socket, seconds: float) -> bool | None:
    """Whether a request comes rather than a message of `channel`; None when nothing comes in that time, or the end."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, lambda: None if readable.done() else readable.set_result(None))
    try:
        async with asyncio.timeout(seconds):
            await readable
        first = connection.recv(1, socket.MSG_PEEK)
    except (TimeoutError, OSError):
        return None
    finally:
        loop.remove_reader(connection)
    return first.isalpha() if first else None


async def converse_http(api: Api, connection: socket.socket) -> None:
    """Answer one request with all rights, and hang up. Takes the connection over. Raises OSError for a broken one."""
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MOST_HEAD)
    try:
        method = "GET"
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await receive(reader, writer)
            method = request.method
            said = await answer(api, OPERATIONS, request)
        except ProblemError as problem:
            said = problem.answer
        writer.write(written(said, bodyless=method == "HEAD"))
        async with asyncio.timeout(REQUEST_SECONDS):
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError):
        writer.transport.abort()  # who asks has left, or as good as that: what it has not read is not waited for
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def told_at_once(error: PylosError) -> bytes:
    """Write an error as the answer to whatever is asked."""
    return written(problem_of(error).answer, bodyless=False)


async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    """Read a request. Raises ProblemError for one that is not understood, IncompleteReadError at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise ProblemError(431, "fields_too_large", f"A head has at most {MOST_HEAD} bytes.") from None
    request = parsed(head.decode("latin-1").removesuffix("\r\n\r\n"))
    length = body_length(request.fields)
    if length and request.fields.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        return replace(request, body=(await reader.readexactly(length)).decode())
    except UnicodeDecodeError:
        raise ProblemError(400, "admin_not_utf8", "The request is no text in UTF-8.") from None


def parsed(head: str) -> Request:
    """Read a head without the empty line behind it. Raises ProblemError."""
    first, *lines = head.split("\r\n")
    line = REQUEST_LINE.fullmatch(first)
    if line is None:
        raise ProblemError(400, "bad_request_line", "The request line is not method, path, HTTP/1.1.")
    fields: dict[str, str] = {}
    for text in lines:
        found = FIELD.fullmatch(text)
        if found is None:
            raise ProblemError(400, "bad_field", "A field's name or value is malformed.")
        name = found[1].lower()
        if name in fields and name in SINGLE:
            raise ProblemError(400, "bad_field", f"{name} stands there twice.")
        fields[name] = f"{fields[name]}, {found[2]}" if name in fields else found[2]
    if line[3] == "HTTP/1.1" and "host" not in fields:
        raise ProblemError(400, "bad_host", "Host is missing.")
    path, _, query = line[2].partition("?")
    return Request(line[1], path, query, fields, may_change=True)


SINGLE = {"content-length", "content-type", "expect", "host"}


def body_length(fields: Mapping[str, str]) -> int:
    """Give the bytes of the body. Raises ProblemError."""
    if "transfer-encoding" in fields:
        hint = "send it whole, as `curl --data-binary @FILE` does"
        raise ProblemError(411, "no_length", "A body needs a Content-Length here.", hint=hint)
    text = fields.get("content-length", "0")
    if not LENGTH.fullmatch(text):
        raise ProblemError(400, "bad_length", "Content-Length is no number.")
    if int(text) > MOST_BODY:
        raise ProblemError(413, "body_too_large", f"A body has at most {MOST_BODY} bytes.")
    return int(text)


def written(said: Answer, *, bodyless: bool) -> bytes:
    """Write an answer, behind which the connection ends."""
    body = said.body.encode()
    phrase = HTTPStatus(said.status).phrase
    fields = {**({"content-type": said.content_type} if body else {}), "cache-control": "no-store", **said.fields}
    if said.status not in (204, 304):
        fields["content-length"] = str(len(body))
    lines = [f"HTTP/1.1 {said.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    head = "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")
    return head if bodyless else head + body
