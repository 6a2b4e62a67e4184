"""`@policy`: what makes a function a policy."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, overload

from pylos.policy.request import Request
from pylos.policy.response import Response
from pylos.policy.verdict import Allow, Review, Verdict
from pylos.quantities import SIZE

if TYPE_CHECKING:
    from pydantic import BaseModel  # a lane without settings has no need of it, and starts in a third of the time

Phase = Literal["identity", "authorise", "limits", "hooks", "transform"]
"""`limits` is that of policies that give keys, `transform` that of those that are asked about answers."""
PHASES: tuple[Phase, ...] = ("identity", "authorise", "hooks")
"""For those that are asked about requests."""

MOST_BODY = 256 << 10
"""Bytes of a body that a policy may ask for: what is handed over lies in memory for each request that waits."""

Key = str | Allow | None
"""What a policy that gives keys says; an Allow may also say for how long it is to be remembered."""
Plain = Callable[[Request], Verdict | Awaitable[Verdict]]
"""A policy without settings."""
Set = Callable[[Request, Any], Verdict | Awaitable[Verdict]]
"""A policy with settings, its second argument."""
PlainKey = Callable[[Request], Key | Awaitable[Key]]
SetKey = Callable[[Request, Any], Key | Awaitable[Key]]
"""Likewise, of policies that give keys."""


PlainReview = Callable[[Request, Response], Review | Awaitable[Review]]
"""A policy of answers without settings."""
SetReview = Callable[[Request, Response, Any], Review | Awaitable[Review]]
"""One with settings, its third argument."""


@dataclass(frozen=True)
class Policy:
    """A function that is a policy, and what its decorator says. Called, it is the function."""

    function: Callable[..., Verdict | Review | str | Awaitable[Verdict | Review | str]]
    phase: Phase = "hooks"
    settings: type[BaseModel] | None = None
    body: int | None = None
    """Bytes of the body that it asks for."""
    blocking: bool = False
    """It waits without giving others a turn, so it runs in a thread."""
    lane: str | None = None
    """The lane of its own."""

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - settings are the user's, and so is what it gives
        return self.function(*arguments)

    @property
    def answers(self) -> bool:
        """Whether it is asked about answers, not about requests."""
        return self.phase == "transform"

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def gives_key(self) -> bool:
        """Whether it gives limits what they count by, and says nothing else."""
        return self.phase == "limits"

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def`."""
        return inspect.iscoroutinefunction(self.function)


@dataclass(frozen=True)
class Hook:
    """What a module of policies does when its lane starts or stops."""

    function: Callable[[SimpleNamespace], object]
    moment: Literal["start", "stop"]

    @property
    def name(self) -> str:
        """Its module's and its own."""
        return f"{self.function.__module__}.{self.function.__name__}"

    async def __call__(self, state: SimpleNamespace) -> None:
        """Run it, and wait for it."""
        result = self.function(state)
        if inspect.isawaitable(result):
            await result


class Decorator:
    """`@policy`, `@policy.key`, `@policy.response`, `@policy.start` and `@policy.stop`."""

    def start(self, function: Callable[[SimpleNamespace], object]) -> Hook:
        """Make a function, `def` or `async def`, run before its lane answers anybody.

        It is called with the state that all policies of the lane find as `request.state`: a place for clients and
        caches. One that raises keeps the lane from starting.
        """
        return Hook(function, "start")

    def stop(self, function: Callable[[SimpleNamespace], object]) -> Hook:
        """Make a function run when its lane has answered everybody and ends."""
        return Hook(function, "stop")

    @overload
    def __call__(self, function: Plain, /) -> Policy: ...
    @overload
    def __call__(
        self,
        /,
        *,
        phase: Phase = "hooks",
        settings: type[BaseModel] | None = None,
        body: str | None = None,
        blocking: bool = False,
        lane: str | None = None,
    ) -> Callable[[Plain | Set], Policy]: ...
    def __call__(  # noqa: PLR0913 - they are keywords, each one of the policy's traits
        self,
        function: Plain | None = None,
        /,
        *,
        phase: Phase = "hooks",
        settings: type[BaseModel] | None = None,
        body: str | None = None,
        blocking: bool = False,
        lane: str | None = None,
    ) -> Policy | Callable[[Plain | Set], Policy]:
        """Make a policy of a function: `def` or `async def`, of a request and, with `settings`, of those.

        `phase` says when it acts, `body` how much of the body it reads ("64KiB"), `blocking` that it waits without
        giving others a turn, `lane` names a lane of its own. Raises TypeError for a function that takes other
        arguments, and ValueError for a phase or a size that there is none of.
        """
        if phase not in PHASES:
            raise ValueError(f"there is no phase {phase!r} for policies; there are {', '.join(PHASES)}")
        bare = Policy(nothing, phase, settings, bytes_of(body), blocking, lane)

        def declared(function: Plain | Set) -> Policy:
            return made(bare, function)

        return declared if function is None else declared(function)

    @overload
    def key(self, function: PlainKey, /) -> Policy: ...
    @overload
    def key(
        self,
        /,
        *,
        settings: type[BaseModel] | None = None,
        body: str | None = None,
        blocking: bool = False,
        lane: str | None = None,
    ) -> Callable[[PlainKey | SetKey], Policy]: ...
    def key(
        self,
        function: PlainKey | None = None,
        /,
        *,
        settings: type[BaseModel] | None = None,
        body: str | None = None,
        blocking: bool = False,
        lane: str | None = None,
    ) -> Policy | Callable[[PlainKey | SetKey], Policy]:
        """Make a policy of a function that gives a key, for the limits that name it: `key = "policy.NAME"`.

        It is asked right before them. A text is the key, None: there is none, and the client's id stands in for it.
        Everything else is as of `@policy`.
        """
        bare = Policy(nothing, "limits", settings, bytes_of(body), blocking, lane)

        def declared(function: PlainKey | SetKey) -> Policy:
            return made(bare, function)

        return declared if function is None else declared(function)

    @overload
    def response(self, function: PlainReview, /) -> Policy: ...
    @overload
    def response(
        self, /, *, settings: type[BaseModel] | None = None, blocking: bool = False, lane: str | None = None
    ) -> Callable[[PlainReview | SetReview], Policy]: ...
    def response(
        self,
        function: PlainReview | None = None,
        /,
        *,
        settings: type[BaseModel] | None = None,
        blocking: bool = False,
        lane: str | None = None,
    ) -> Policy | Callable[[PlainReview | SetReview], Policy]:
        """Make a policy of answers of a function of a request, its answer and, with `settings`, of those.

        It is asked when the answer's head is there, about answers of the upstream, and about those that the route and
        other policies give; not about refusals, nor about interim answers. What it says is an Edit, a Deny, or None.
        Raises TypeError for a function that takes other arguments.
        """
        bare = Policy(nothing, phase="transform", settings=settings, blocking=blocking, lane=lane)

        def declared(function: PlainReview | SetReview) -> Policy:
            return made(bare, function)

        return declared if function is None else declared(function)


policy = Decorator()


def made(bare: Policy, function: Callable[..., Any]) -> Policy:
    """Give a policy its function. Raises TypeError for one that cannot be called as it will be."""
    check_arguments(bare, function)
    if bare.blocking and inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__name__} is an `async def`: `blocking` is for a `def` that waits")
    return replace(bare, function=function)


def bytes_of(body: str | None) -> int | None:
    """Read how much of the body a policy asks for. Raises ValueError for what is no size, or too much."""
    size = None if body is None else SIZE.parse(body)
    if size is not None and size > MOST_BODY:
        raise ValueError(f"{body} is more of a body than a policy can read: at most 256KiB")
    return size


def nothing(_: Request) -> None:
    """Stand in for a function that comes with the next call."""


def check_arguments(policy: Policy, function: Callable[..., object]) -> None:
    """Raise TypeError for a function that cannot be called with what it is given."""
    wanted = ["a request"] + ["its answer"] * policy.answers + ["its settings"] * (policy.settings is not None)
    try:
        inspect.signature(function).bind(*wanted)
    except TypeError as error:
        takes = " and ".join(filter(None, [", ".join(wanted[:-1]), wanted[-1]]))
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"the policy {name} is called with {takes}: {error}") from None
