"""Where a request would go, as a test asks it: `running.explain("GET /orders/7")`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pylos.config.explain import Explanation, PolicyWord, Refuse
from pylos.config.testing import Failure, failures
from pylos.errors import PylosError
from pylos.model import Expect

NEAREST = 5
"""So many of the routes that did not take a request are told where a test fails."""


class Told(Explanation):
    """An explanation that can be compared with what is expected.

    assert running.explain("GET /orders/7") == pylos.Expect(route="orders", upstream="web", path="/7")

    Equal is what has all that `Expect` names; where something differs, pytest shows each difference and the whole
    explanation. All that an `Explanation` has is there too: `route.name`, `policies`, `outcome`, `sent`, `others`.
    """

    @classmethod
    def of(cls, told: Explanation) -> Self:
        """Take over an explanation."""
        return cls.model_validate(dict(told))

    @property
    def path(self) -> str | None:
        """The path that the upstream gets, without its query; None where none is asked."""
        return None if self.sent is None else self.sent.target.partition("?")[0]

    @property
    def reason(self) -> str | None:
        """The reason of a refusal, as in the answer's field `pylos-reason`."""
        return self.outcome.reason if isinstance(self.outcome, Refuse) else None

    def policy(self, name: str) -> PolicyWord:
        """Give what a policy would do: `acts`, `effect`, and the edits in `request` and `response`."""
        found = next((word for word in self.policies if word.name == name), None)
        if found is None:
            raise PylosError(f"no policy `{name}` here, only {_listed(word.name for word in self.policies)}: {self!r}")
        return found

    def why_not(self, route: str) -> str:
        """Say why another route did not take the request; raises PylosError where it does not even come near."""
        found = next((other.why_not for other in self.others if other.route == route), None)
        if found is None:
            raise PylosError(
                f"`{route}` is none of the routes that come near, {_listed(o.route for o in self.others)}: {self!r}"
            )
        return found

    def differences(self, expected: Expect) -> list[str]:
        """Tell what is not as expected, one line for each."""
        answer: Mapping[str, Any] = self.model_dump(by_alias=True)
        return [_line(failure) for failure in failures(expected, answer, ())]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Expect):
            return not self.differences(other)
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        asked = f"{self.request.method} {self.request.scheme}://{self.request.host}{self.request.path}"
        route = f"route `{self.route.name}`" if self.route else "no route"
        return f"<{asked}: {route}, {self._end()}>"

    def _end(self) -> str:
        match self.outcome:
            case Refuse(status=status, reason=reason):
                return f"refused, {status} {reason}"
            case _ if self.upstream:
                return f"upstream `{self.upstream}`, path {json.dumps(self.path)}"
            case outcome:
                return f"{outcome.kind} {self.status}" if self.status else outcome.kind


def compared(operator: str, left: object, right: object) -> list[str] | None:
    """Write a comparison that failed, as pytest shows it; None where it is none of ours."""
    told, expected = (left, right) if isinstance(left, Told) else (right, left)
    if operator != "==" or not isinstance(told, Told) or not isinstance(expected, Expect):
        return None
    whole = str(told.model_copy(update={"others": told.others[:NEAREST]})).splitlines()
    return [f"{told!r} is not as expected", *told.differences(expected), *whole[1:]]


def _line(failure: Failure) -> str:
    key = ".".join([failure.key, *failure.inner])
    return f"{key}: expected {failure.expected}, got {failure.got}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
