"""What a supervisor is asked, by the program that owns it or over the control socket, and how it answers.

A question is a message with a `type` and an `id` of the asker's; its one answer has that `id` and is
{"type": "done", ...} or {"type": "failed", "error": "config" | "bind" | "gateway" | "other", "text", "problems"}.

    {"type": "reload"}                  reads the source again: {"number", "changes", "warnings", ...}; the changes are
                                        null where they cannot be told
    {"type": "rollback", "number"}      puts a former configuration into use, null = the one before: the same
    {"type": "history"}                 {"entries"}, the latest first
    {"type": "document", "number"}      a former document, null = the one in use: {"number", "document"}
    {"type": "table"}                   the table in use, addresses as they really are: {"number", "table", "secrets"}
    {"type": "status"}                  {"status": of the gateway process, "running": of the supervisor}
    {"type": "forget", "policy"}        forgets what is remembered of a policy's decisions, null = of all: {"policies"}
    {"type": "reopen"}                  opens log files anew
    {"type": "drain", "deadline_ms"}    ends as after SIGTERM, null = in the time that the configuration says; no answer
                                        but the end
    {"type": "explain", "question"}     where a request would go now, as the core is asked: {"explanation"}
    {"type": "advance", "ms"}           puts the gateway's time forward, for tests
    {"type": "process", "other_than"}   waits until a gateway process serves that is not this one: {"gateway"}
    {"type": "upgrade"}                 renews the program and the gateway process: {"gateway"}; where the supervisor
                                        becomes another program there is no answer but the end
    {"type": "upgraded"}                waits until that is settled; asked of the program that came of it: {"gateway"}
    {"type": "certificates"}            how those are that come by themselves: {"certificates"}, each with its `chain`
    {"type": "renew", "tls"}            renews the one of a `tls` now
    {"type": "root"}                    the root of this machine's own authority, in PEM: {"root"}
    {"type": "stop"}                    ends at once, without a drain; no answer but the end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any

from pylos.errors import PylosError
from pylos.supervisor.channel import Channel, Message
from pylos.supervisor.events import Event, Outcome, Put, Reload, Rollback, Upgrade
from pylos.supervisor.failed import failure
from pylos.supervisor.run import Supervisor
from pylos.supervisor.source import Checked, Source

MOST_QUESTIONS = 64
"""Of one asker, that wait for their answers; more are read when one of them has its."""


MOST_MS = 100 * 365 * 24 * 3600 * 1000
"""By which a gateway's time is put forward at once."""


class Answers:
    """Answers questions about one supervisor. `asker` is who asks, as it stands in the log."""

    def __init__(self, supervisor: Supervisor, asker: str) -> None:
        self._supervisor = supervisor
        self._asker = asker

    async def converse(
        self, channel: Channel, source_of: Callable[[Message], Source | None], idle: float | None = None
    ) -> None:
        """Answer until the other side has left. A question that waits does not keep the others waiting.

        `source_of` gives the source that a reload names; None is the one in use. An asker who waits for nothing and
        asks nothing for `idle` seconds is left. Raises OSError for a broken channel.
        """
        answering: set[asyncio.Task[None]] = set()
        try:
            while (question := await self._next(channel, answering, idle)) is not None:
                if len(answering) >= MOST_QUESTIONS:
                    await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._answer(channel, question, source_of, idle))
                answering.add(task)
                task.add_done_callback(answering.discard)
        finally:
            for task in answering:
                task.cancel()

    async def _next(
        self, channel: Channel, answering: Collection[asyncio.Task[None]], idle: float | None
    ) -> Message | None:
        """Wait for the next question; None when the asker has left or is left."""
        receiving = asyncio.create_task(channel.receive())
        try:
            while not (await asyncio.wait([receiving], timeout=idle))[0]:
                if not answering:
                    return None
            return receiving.result()
        finally:
            receiving.cancel()

    async def _answer(
        self,
        channel: Channel,
        question: Message,
        source_of: Callable[[Message], Source | None],
        idle: float | None,
    ) -> None:
        number = question.get("id")
        if not isinstance(number, int | str | None):
            return  # no number of ours, which are all that an answer could be told by
        try:
            answer = {"type": "done", "id": number, **await self.ask(question, source_of(question))}
        except PylosError as error:
            answer = failure(number, error)
        except Exception as error:  # noqa: BLE001 - who asks waits for an answer, and all others go on
            answer = failure(number, PylosError(f"a defect of Pylos: {type(error).__name__}"))
        try:
            async with asyncio.timeout(idle):
                await channel.send(answer)
        except TimeoutError:
            channel.hang_up()  # who asked reads nothing; part of the answer may be sent, and nothing can follow that
        except OSError:
            return  # who asked has left

    async def ask(self, question: Message, source: Source | None = None) -> dict[str, Any]:  # noqa: PLR0911 - one each
        """Answer one question. Raises PylosError."""
        supervisor = self._supervisor
        match question["type"]:
            case "reload":
                return await self._taken(lambda outcome: Reload(f"asked by {self._asker}", source, outcome))
            case "rollback":
                number = question.get("number")
                return await self._taken(lambda outcome: Rollback(f"asked by {self._asker}", number, outcome))
            case "history":
                return {"entries": supervisor.history.as_json()}
            case "document":
                return supervisor.history.document(question.get("number"))
            case "table":
                return {"number": supervisor.number, "table": supervisor.table, "secrets": supervisor.checked.secrets}
            case "process":
                return {"gateway": await supervisor.serving(question.get("other_than", 0))}
            case "upgrade":
                return {"gateway": await self._upgraded()}
            case "upgraded":
                return {"gateway": await supervisor.upgraded()}
            case "stop":
                supervisor.end_at_once()
                return {}
            case _:
                return await self._of_certificates(question)

    def drain(self, deadline_ms: int | None) -> None:
        """Let all end as after SIGTERM; None = in the time that the configuration says."""
        deadline = None if deadline_ms is None else max(0, min(int(deadline_ms), MOST_MS)) / 1000
        self._supervisor.drain(f"asked by {self._asker}", deadline)

    async def put(self, checked: Checked, known: Collection[str] | None) -> dict[str, Any]:
        """Put a configuration into use in place of one of those with the `known` digests, None = of any.

        Tells what a reload tells. Raises ChangedError when another one is in use, and what a reload raises.
        """
        return await self._taken(lambda outcome: Put(f"sent by {self._asker}", checked, known, outcome))

    async def _of_certificates(self, question: Message) -> dict[str, Any]:
        """Answer what is asked about certificates that come by themselves."""
        supervisor = self._supervisor
        match question["type"]:
            case "certificates":
                tables = supervisor.checked.table["tls"]
                found = supervisor.certificates.status()
                return {
                    "certificates": [{**one, "chain": tables[one["tls"]]["certificates"][0]["chain"]} for one in found]
                }
            case "renew":
                supervisor.certificates.hurry(str(question["tls"]))
                return {}
            case "root":
                return {"root": await supervisor.certificates.root()}
            case _:
                return await self._of_the_gateway(question)

    async def _of_the_gateway(self, question: Message) -> dict[str, Any]:
        """Answer what the gateway process is to know or to do."""
        supervisor = self._supervisor
        match question["type"]:
            case "status":
                return {"status": await supervisor.status(), "running": await supervisor.running()}
            case "forget":
                return {"policies": await supervisor.forget(question.get("policy"))}
            case "drain":
                self.drain(question.get("deadline_ms"))
                await asyncio.get_running_loop().create_future()  # who waits for it sees the end
                return {}
            case "reopen":
                await supervisor.reopen(f"asked by {self._asker}")
                return {}
            case "explain":
                return {"explanation": await supervisor.explain(question["question"])}
            case "advance":
                await supervisor.advance(max(0, min(int(question["ms"]), MOST_MS)))
                return {}
            case unknown:
                raise PylosError(f"an unknown question: {unknown}")

    async def _upgraded(self) -> int:
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._supervisor.put(Upgrade(f"asked by {self._asker}", outcome))
        return await outcome

    async def _taken(self, event: Callable[[Outcome], Event]) -> dict[str, Any]:
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self._supervisor.put(event(outcome))
        taken = await outcome
        return {
            **ready(self._supervisor),
            "number": taken.number,
            "changes": None if taken.changes is None else [change.as_json() for change in taken.changes],
            "warnings": [asdict(problem) for problem in taken.warnings],
        }


def ready(supervisor: Supervisor) -> dict[str, Any]:
    """Tell who serves where, which listeners have no traffic but metrics and health, and which speak TLS."""
    listeners = supervisor.checked.table["listen"].items()
    admin = [name for name, listen in listeners if "proxy" not in listen["serve"]]
    secure = [name for name, listen in listeners if listen.get("tls")]
    return {**supervisor.ready, "admin": admin, "secure": secure}
