"""A lane: answers what workers ask, with the policies of users.

`def` runs where it is called, an `async def` as a task, and what says `blocking` in a thread. What a policy raises, and
what it gives that is no verdict, is told and answered as failed: the gateway decides what then.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from types import CoroutineType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from pylos.policy.answer import Kind, encoded, keyed, reviewed
from pylos.policy.current import CURRENT, here
from pylos.policy.declare import Policy
from pylos.policy.eager import Starter
from pylos.policy.load import Loaded
from pylos.policy.request import AmbiguousQueryError, Request
from pylos.policy.response import Response
from pylos.policy.verdict import Deny

if TYPE_CHECKING:
    from pylos._core import Call, Lane

Report = Callable[["Call", BaseException], None]
"""Tells that a policy failed: about which request, and by what."""
FINISH = 10.0
"""Seconds that what is under way may take when the lane ends."""


class Room:
    """The policies of a lane, and the workers that it answers.

    Runs in an event loop: `attach` adds a worker's rings to it. `state` is what the hooks of the policies share.
    """

    def __init__(
        self,
        loaded: Sequence[Loaded],
        report: Report,
        state: SimpleNamespace | None = None,
    ) -> None:
        self._report = report
        self._state = SimpleNamespace() if state is None else state
        self._tasks: dict[Call, asyncio.Task[None]] = {}
        """Under way, by what was asked: the loop itself does not keep them."""
        self._unshown: set[Lane] = set()
        self._calls = [self._caller(one) for one in loaded]
        self._encoders = [encoder_of(one.policy) for one in loaded]
        self._loop = asyncio.get_running_loop()
        self._starter = Starter(self._loop, self._finish)

    def attach(self, lane: Lane, bell: int) -> None:
        """Answer a worker from now on. `bell` is the descriptor that it rings."""
        other = self._other(lane)

        def rung() -> None:
            try:
                more = lane.serve(self._calls, other)
            except ConnectionError:  # the worker has written what cannot be: it is not listened to any more
                self._loop.remove_reader(bell)
                raise
            finally:
                here[0] = None
            if more:
                self._loop.call_soon(rung)

        self._loop.add_reader(bell, rung)

    async def finish(self) -> bool:
        """Wait for what is under way, for a while; whether all of it came to its end."""
        self._starter.close()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks.values()), timeout=FINISH)
            return not late
        return True

    def _caller(self, loaded: Loaded) -> Callable[[Call], object]:
        """Give what the core calls: None for a pass, and everything else for `_other`."""
        policy = loaded.policy
        function: Callable[..., Any] = policy.function
        more = () if policy.settings is None else (loaded.settings,)
        state = self._state
        if policy.answers:
            function = of_answers(function)

        def called(call: Call) -> object:
            here[0] = call
            return function(Request(call, state))

        def called_with_settings(call: Call) -> object:
            here[0] = call
            return function(Request(call, state), *more)

        def called_aside(call: Call) -> object:
            return function(Request(call, state), *more)

        if policy.blocking:
            # Threads of its own: one that is slow takes none of those of another one.
            threads = ThreadPoolExecutor(loaded.threads, thread_name_prefix=policy.name)
            return partial(self._in_thread, threads, called_aside)
        if policy.is_async and loaded.concurrency:
            return partial(in_turn, asyncio.Semaphore(loaded.concurrency), called_aside)
        if policy.is_async:
            return called_aside
        return called_with_settings if more else called  # a call of any number of arguments takes half as long again

    async def _in_thread(self, threads: Executor, called: Callable[[Call], object], call: Call) -> object:
        def run() -> object:
            CURRENT.set(call)
            try:
                return called(call)
            except BaseException as error:  # noqa: BLE001 - StopIteration, which no future takes, among them
                return error

        return await self._loop.run_in_executor(threads, run)

    def _other(self, lane: Lane) -> Callable[[Call, object], None]:
        def other(call: Call, result: object) -> None:
            # The usual question comes first: that of an abstract class costs as much as a small policy.
            if type(result) is CoroutineType or isinstance(result, Awaitable):
                work = result if isinstance(result, CoroutineType) else waiting(result)
                task = self._starter.start(lane, call, work)
                if task is not None:
                    self._tasks[call] = task
            else:
                self._answer(lane, call, result)

        return other

    def _finish(self, lane: Lane, call: Call, result: object) -> None:
        """Answer what did not stay in `serve`, and show that soon."""
        self._answer(lane, call, result)
        self._tasks.pop(call, None)
        if lane not in self._unshown:  # once for all that finish in this turn of the loop
            self._unshown.add(lane)
            self._loop.call_soon(self._show, lane)

    def _show(self, lane: Lane) -> None:
        self._unshown.discard(lane)
        lane.flush()

    def _answer(self, lane: Lane, call: Call, result: object) -> None:
        """Answer with a verdict; of anything else, tell what it is, and answer that the policy failed."""
        failure: BaseException
        encode = self._encoders[call.policy]
        if isinstance(result, AmbiguousQueryError):
            result, encode = Deny(400, "bad_query", str(result)), encoded
        if isinstance(result, BaseException):
            failure = result
        else:
            try:
                lane.answer(call, *encode(result))
            except Exception as error:  # noqa: BLE001 - whatever a verdict's own mappings and claims may raise
                failure = error
            else:
                return
        lane.answer(call, Kind.FAILED, b"")
        try:
            self._report(call, failure)
        except Exception:  # noqa: BLE001 - an exception that cannot even be told
            traceback.print_exc()


def encoder_of(policy: Policy) -> Callable[[object], tuple[Kind, bytes]]:
    """Give what writes what a policy says."""
    return reviewed if policy.answers else keyed if policy.gives_key else encoded


async def waiting(result: Awaitable[object]) -> object:
    """Make a coroutine of what is none."""
    return await result


def of_answers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of request and answer one of the request, which has both."""

    def called(request: Request, *more: object) -> object:
        return function(request, Response(request._call), *more)  # noqa: SLF001 - both are views of one call

    return called


async def in_turn(turns: asyncio.Semaphore, called: Callable[[Call], Any], call: Call) -> object:
    """Call it when fewer than so many are under way."""
    async with turns:
        return await called(call)
