"""Which request runs now: so that what a policy prints and logs says what it is about."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylos._core import Call

CURRENT: ContextVar[Call | None] = ContextVar("current", default=None)
"""The request that a coroutine, or a function in a thread, is asked about."""
here: list[Call | None] = [None]
"""The request that a `def` is asked about, here and now: cheaper than a context."""


def current() -> Call | None:
    """Give the request that what runs now is about."""
    return CURRENT.get() or here[0]
