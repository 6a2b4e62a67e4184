"""Requests of admin listeners, which gateway processes pass on."""

from __future__ import annotations

import asyncio

from pylos.supervisor.admin_line import AdminLine
from pylos.supervisor.answers import Answers
from pylos.supervisor.api.message import Request
from pylos.supervisor.api.operations import OPERATIONS
from pylos.supervisor.api.resource import Api, answer
from pylos.supervisor.channel import Message
from pylos.supervisor.run import Supervisor


async def answer_forwarded(supervisor: Supervisor) -> None:
    """Answer what all gateway processes pass on, each as long as it is there, until cancelled."""
    api = Api(supervisor, Answers(supervisor, "the admin API"))
    answering: set[asyncio.Task[None]] = set()
    pid = 0
    try:
        while True:
            pid = await supervisor.serving(other_than=pid)
            line = supervisor.admin_line
            if line is not None:  # else it was lost in the meantime
                task = asyncio.create_task(answer_all(api, line))
                answering.add(task)
                task.add_done_callback(answering.discard)
    finally:
        for task in answering:
            task.cancel()


async def answer_all(api: Api, line: AdminLine) -> None:
    """Answer the requests of one gateway process; one that waits does not keep the others waiting."""
    answering: set[asyncio.Task[None]] = set()
    try:
        async for message in line.requests():
            task = asyncio.create_task(answer_one(api, line, message))
            answering.add(task)
            task.add_done_callback(answering.discard)
    finally:
        for task in answering:
            task.cancel()


async def answer_one(api: Api, line: AdminLine, message: Message) -> None:
    """Answer one request."""
    said = await answer(api, OPERATIONS, request_of(message))
    await line.answer(
        {
            "type": "answer",
            "id": message["id"],
            "status": said.status,
            "content_type": said.content_type if said.body else "",
            "fields": [["cache-control", "no-store"], *map(list, said.fields.items())],
            "body": said.body,
        }
    )


def request_of(message: Message) -> Request:
    """Take a request as the gateway process has understood it."""
    fields: dict[str, str] = {}
    for name, value in message["fields"]:
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    rights = message["rights"] == "change"
    return Request(message["method"], message["path"], message["query"], fields, message["body"], may_change=rights)
