"""Coroutines begin at once, in place of in the loop's next turn: most policies do not wait, and then no task is needed.

Python 3.12 can do that itself. For 3.11 the first step is made by hand, in the name of a task that stands in: where the
coroutine has to wait, that task goes on with it.
"""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from types import coroutine as generated
from typing import TYPE_CHECKING, Any

from pylos.policy.current import CURRENT

if TYPE_CHECKING:
    from pylos._core import Call, Lane

Work = Coroutine[Any, Any, object]
Finish = Callable[["Lane", "Call", object], None]
"""Takes what a coroutine gave, or raised."""
NAME = "policy"
"""Of all tasks: to make a name for each takes longer than to make the task."""


async def finished(work: Work, lane: Lane, call: Call, finish: Finish) -> None:
    """Wait for the work, and take its result, or what it raises, to where it is wanted."""
    result: object
    try:
        result = await work
    except BaseException as error:  # noqa: BLE001 - also sys.exit is the policy's failure, and not the lane's end
        result = error
    finish(lane, call, result)


if sys.version_info >= (3, 12):

    class Starter:
        """Begins coroutines, each in a context of its own. `finish` gets what they come to."""

        def __init__(self, loop: AbstractEventLoop, finish: Finish) -> None:
            self._loop = loop
            self._finish = finish

        def start(self, lane: Lane, call: Call, work: Work) -> Task[None] | None:
            """Run it as far as it goes; None when that was to its end."""
            context = copy_context()
            context.run(CURRENT.set, call)
            whole = finished(work, lane, call, self._finish)
            task = Task(whole, loop=self._loop, name=NAME, context=context, eager_start=True)
            return None if task.done() else task

        def close(self) -> None:
            """Leave nothing behind."""

else:
    from asyncio.tasks import _enter_task, _leave_task

    class Starter:
        """Begins coroutines, each in a context of its own. `finish` gets what they come to."""

        def __init__(self, loop: AbstractEventLoop, finish: Finish) -> None:
            self._loop = loop
            self._finish = finish
            self._standin = Standin(loop)

        def start(self, lane: Lane, call: Call, work: Work) -> Task[None] | None:
            """Run it as far as it goes; None when that was to its end."""
            standin, context = self._standin, copy_context()
            if not standin.waits:  # it has to begin itself, which takes a turn of the loop
                if standin.task.done():
                    self._standin = Standin(self._loop)
                context.run(CURRENT.set, call)
                return Task(finished(work, lane, call, self._finish), loop=self._loop, name=NAME, context=context)
            _enter_task(self._loop, standin.task)
            try:
                left = context.run(first, lane, call, work)
            except BaseException as error:  # noqa: BLE001 - as above
                left = True, error
            finally:
                _leave_task(self._loop, standin.task)
            if standin.task.cancelling():  # by the work, which took it for its own
                self._standin = Standin(self._loop)
            if left is None:
                return None
            ended, what = left
            # Until it is waited for, it must not look as if it was: others may wait for it too, and look at that.
            blocks = getattr(what, BLOCKS, False)
            if blocks:
                setattr(what, BLOCKS, False)
            if ended:
                self._finish(lane, call, what)
                return None
            self._standin = Standin(self._loop)

            def whole(cancelled: CancelledError | None) -> Work:
                if blocks and cancelled is None:
                    setattr(what, BLOCKS, True)
                return finished(continued(work, context, what, cancelled), lane, call, self._finish)

            return standin.go_on(whole)

        def close(self) -> None:
            """Leave nothing behind."""
            self._standin.task.cancel()

    def first(lane: Lane, call: Call, work: Work) -> tuple[bool, object] | None:
        """Make the first step. Raises what the work raises."""
        CURRENT.set(call)
        return lane.step(call, work)

    BLOCKS = "_asyncio_future_blocking"
    """By which a future says to its task that it is waited for."""

    class Standin:
        """A task that waits for somebody's work to go on with."""

        def __init__(self, loop: AbstractEventLoop) -> None:
            self.waits = False
            self.task = Task(self._wait(), loop=loop, name=NAME)
            self._given: Future[None] = loop.create_future()
            self._whole: Callable[[CancelledError | None], Work] | None = None

        def go_on(self, whole: Callable[[CancelledError | None], Work]) -> Task[None]:
            """Have it go on with work that waits; that learns when the task was cancelled before."""
            self._whole = whole
            self.waits = False
            if not self._given.done():  # it is when the work has cancelled the task
                self._given.set_result(None)
            return self.task

        async def _wait(self) -> None:
            self.waits, cancelled = True, None
            try:
                await self._given
            except CancelledError as error:
                self.waits, cancelled = False, error
            if self._whole is not None:
                await self._whole(cancelled)

    @generated
    def continued(
        work: Work, context: Context, awaited: object, cancelled: CancelledError | None
    ) -> Generator[object, object, object]:
        """Run work on from where it waits, in its own context; gives its result."""
        step = None if cancelled is None else partial(work.throw, cancelled)
        while True:
            if step is None:
                try:
                    step = partial(work.send, (yield awaited))
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the work
                    step = partial(work.throw, error)
            try:
                awaited = context.run(step)
            except StopIteration as stopped:
                return stopped.value
            step = None
