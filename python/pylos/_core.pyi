"""The compiled core. Positions and lines count from 1, columns in characters."""

from collections.abc import Callable, Coroutine
from typing import Any, Self

class TomlError(ValueError):
    """The text is no TOML."""

    message: str
    line: int
    column: int

def parse_toml(
    text: str,
) -> tuple[dict[str, Any], list[tuple[tuple[str | int, ...], int, int, int, int, int, int]]]:
    """Parse TOML to plain values, and the place of each key and value.

    A position is (path, line, column and length of the key, line, column and length of the value).
    Raises TomlError at the first place that is no TOML.
    """

def compile_table(table: bytes) -> tuple[list[dict[str, Any]], Compiled | None]:
    """Compile a table; give its problems, and what it came to where none of them is an error.

    A problem has `code`, `severity`, `path`, `message`, `hint`, `of_key` (the last key of the path is wrong, and not
    its value) and `also` (paths of other places that it is about). Raises ValueError for what has no table's form.
    """

class Compiled:
    """A sound table, and what can be asked about it."""

    def routes(self) -> list[dict[str, Any]]:
        """List the routes in the order in which they are tried.

        `shadowed_by` is the route that takes all requests of a row, or None.
        """

    def unrouted(self) -> dict[str, list[str]]:
        """Give, by listener, the policies that hold for what no route takes, in the order of execution."""

    def asks(self) -> dict[str, list[str]]:
        """Give, by policy, what its `if` asks for: `client.ip`, `request.headers`."""

    def explain(self, request: bytes) -> dict[str, Any]:
        """Tell where a described request (JSON) would go, and why. Raises ValueError for one that makes no sense."""

class Lane:
    """One worker's rings, in a lane: the process in which policies run."""

    def __new__(cls, jobs: int, answers: int, bell: int, back: int) -> Self:
        """Take four descriptors over: jobs, answers, the lane's bell and the worker's. Raises OSError for others."""

    def serve(self, policies: list[Callable[[Call], object]], other: Callable[[Call, object], object]) -> bool:
        """Answer the calls that are there; True: there may be more, and the bell will not say so.

        What a policy gives as None lets the request pass; everything else, and every exception, goes to
        `other(call, result)`, which answers itself. Raises ConnectionError when the gateway has written what cannot be.
        """

    def step(self, call: Call, work: Coroutine[Any, Any, object]) -> tuple[bool, object] | None:
        """Make the first step of a coroutine, which raises what it raises.

        None when it came to its end and lets the request pass, which is answered; else whether it came to its end, and
        its result or what it waits for.
        """

    def answer(self, call: Call, kind: int, rest: bytes) -> None:
        """Answer one call. Raises ValueError for more than a ring holds."""

    def flush(self) -> None:
        """Show the worker the answers."""

class Call:
    """A request that a policy is asked about. Texts are made when they are read."""

    @property
    def method(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def client_plan(self) -> str: ...
    @property
    def client_claims(self) -> bytes:
        """JSON; empty for a client of whom nothing is known."""
    @property
    def policy(self) -> int:
        """The number of the policy that is asked."""
    @property
    def route(self) -> str:
        """The name of the route that takes it."""
    @property
    def host(self) -> str:
        """In lower case, without a port."""
    @property
    def path(self) -> str:
        """In normal form."""
    @property
    def query(self) -> str | None:
        """Without its `?`; None when there is no `?`."""
    @property
    def client_ip(self) -> str:
        """Empty for a client on a Unix socket."""
    @property
    def request_id(self) -> str: ...
    @property
    def body(self) -> bytes | None:
        """None where the policy does not ask for it."""
    def fields(self) -> list[tuple[str, str]]:
        """Give names and values, in their order."""
    @property
    def status(self) -> int:
        """Of the answer that it is asked about; 0 when it is asked about a request."""
    def answer_fields(self) -> list[tuple[str, str]]:
        """Give names and values of that answer."""

class Caller:
    """A worker's end, for one who asks without a gateway: the test of a lane, and the measurement of a policy."""

    def __new__(cls) -> Self:
        """Make both rings. Raises OSError where there is no memory or no descriptor left."""

    def descriptors(self) -> list[int]:
        """Give what the lane takes over, to be given to it as copies: jobs, answers, its bell, the caller's."""

    def ask(
        self,
        number: int,
        policy: int,
        method: str,
        target: str,
        fields: bytes,
        body: bytes | None = None,
        answer: tuple[int, bytes] | None = None,
    ) -> None:
        """Ask policy number `policy` about a request; `fields` are lines that each end with CR and LF.

        With `answer`, a status and lines, it is asked about that answer of the request.

        Raises BlockingIOError while the lane has to catch up, and ValueError for more than it can take.
        """

    def flush(self) -> None:
        """Show the lane what was asked."""

    def answers(self) -> list[tuple[int, int, bytes]]:
        """Take all answers that are there: id, kind, and what else belongs to it. After it, the bell rings for more."""

def check_by(by: list[str]) -> None:
    """Raise ValueError for a list in `by` of a verdict that no requests can be told apart with."""

def run_gateway(control_fd: int) -> int:
    """Run the gateway process over a control socket until it ends; give its exit code."""

def version() -> str:
    """Give the version of the core."""
