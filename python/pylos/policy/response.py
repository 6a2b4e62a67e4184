"""An answer as a policy sees it: its head, as the client would get it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pylos.policy.headers import Headers

if TYPE_CHECKING:
    from pylos._core import Call


class Response:
    """An answer, read only. Its fields are those that the client would get, but for what frames the body."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def status(self) -> int:
        """200 to 599."""
        return self._call.status

    @cached_property
    def headers(self) -> Headers:
        """The fields."""
        return Headers(self._call.answer_fields())

    def __repr__(self) -> str:
        return f"Response({self.status})"
