"""A lane: answers what workers ask, with the policies of users.

`def` runs where it is called, an `async def` as a task, and what says `blocking` in a thread. What a policy raises, and
what it gives that is no verdict, is told on standard error and answered as failed: the gateway decides what then.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pylos.policy.answer import Kind, encoded
from pylos.policy.declare import Policy
from pylos.policy.request import Request

if TYPE_CHECKING:
    from pylos._core import Call, Lane

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is asked about."""
Report = Callable[[str, str], None]
"""Tells that a policy failed: the request's id, and the traceback."""


class Room:
    """The policies of a lane, and the workers that it answers.

    Runs in an event loop: `attach` adds a worker's rings to it.
    """

    def __init__(self, policies: Sequence[Policy], settings: Sequence[object], report: Report) -> None:
        self._report = report
        self._threads = ThreadPoolExecutor(thread_name_prefix="policy")
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = [self._caller(one, given) for one, given in zip(policies, settings, strict=True)]
        self._loop = asyncio.get_running_loop()

    def attach(self, lane: Lane, bell: int) -> None:
        """Answer a worker from now on. `bell` is the descriptor that it rings."""

        def rung() -> None:
            lane.serve(self._calls, self._other(lane))

        self._loop.add_reader(bell, rung)

    async def finish(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown(wait=False)

    def _caller(self, policy: Policy, settings: object) -> Callable[[Call], object]:
        """Give what the core calls: None for a pass, and everything else for `_other`."""
        function: Callable[..., Any] = policy.function
        more = () if policy.settings is None else (settings,)
        if policy.blocking:
            return lambda call: self._in_thread(function, Request(call), more)
        return lambda call: function(Request(call), *more)

    async def _in_thread(self, function: Callable[..., Any], request: Request, more: tuple[object, ...]) -> Any:  # noqa: ANN401
        return await self._loop.run_in_executor(self._threads, lambda: function(request, *more))

    def _other(self, lane: Lane) -> Callable[[Call, object], None]:
        def other(call: Call, result: object) -> None:
            if isinstance(result, Awaitable):
                task = self._loop.create_task(self._finish(lane, call, result))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._answer(lane, call, result)

        return other

    async def _finish(self, lane: Lane, call: Call, waiting: Awaitable[object]) -> None:
        REQUEST_ID.set(call.request_id)
        try:
            result = await waiting
        except BaseException as error:  # noqa: BLE001 - also sys.exit is the policy's failure, and not the lane's end
            result = error
        self._answer(lane, call, result)
        lane.flush()

    def _answer(self, lane: Lane, call: Call, result: object) -> None:
        """Answer with a verdict; of anything else, tell what it is, and answer that the policy failed."""
        failure: BaseException
        if isinstance(result, BaseException):
            failure = result
        else:
            try:
                lane.answer(call, *encoded(result))
            except (TypeError, ValueError) as error:
                failure = error
            else:
                return
        self._report(call.request_id, "".join(traceback.format_exception(failure)))
        lane.answer(call, Kind.FAILED, b"")
