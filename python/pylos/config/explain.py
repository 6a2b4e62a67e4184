"""Where a request would go, and why: the question, the answer as an object, and as text."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Protocol, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pylos.config.check import Loaded
from pylos.config.compiled import compile_sound
from pylos.config.secrets import Places, hidden, hidden_in_line, values_at
from pylos.config.testing import given
from pylos.errors import PylosError
from pylos.model.test import Given


class Part(BaseModel):
    """A part of an explanation."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Understood(Part):
    """The request as the gateway understands it."""

    method: str
    scheme: str
    host: str
    path: str
    """In normal form: this is what is matched and what policies see."""
    query: str | None
    client_ip: str | None
    client_id: str
    """`unix` for a client without an address."""


class Chosen(Part):
    """The route that takes the request."""

    name: str
    pattern: str
    captures: dict[str, str]
    why: list[str]


class Other(Part):
    """A route that does not take it."""

    route: str
    pattern: str
    why_not: str


class Condition(Part):
    """The `if` of a policy, and whether it holds for this request."""

    text: str
    holds: bool | None
    """None where it cannot be told: then a filter acts, and what changes something rests."""
    unclear: str | None
    """Why it cannot be told."""


class PolicyWord(Part):
    """What a policy of the effective list would do."""

    name: str
    type: str
    phase: str
    enforce: int
    """Percent of requests."""
    condition: Annotated[Condition | None, Field(alias="if")]
    acts: bool
    """False where its `if` does not let it, and where it only watches (`enforce = 0`)."""
    effect: str
    request: list[str]
    response: list[str]


class Forward(Part):
    """An upstream is asked."""

    kind: Literal["forward"]
    upstream: str
    targets: list[str]


class Redirect(Part):
    """The client is sent elsewhere."""

    kind: Literal["redirect"]
    status: int
    location: str


class Respond(Part):
    """A fixed answer is given."""

    kind: Literal["respond"]
    status: int


class Admin(Part):
    """The admin listener's own pages answer."""

    kind: Literal["admin"]


class Refuse(Part):
    """The gateway refuses the request."""

    kind: Literal["refuse"]
    status: int
    reason: str
    """The fixed code that the answer has in `pylos-reason`."""
    stage: str
    detail: str


class Answer(Part):
    """A policy in Python answers."""

    kind: Literal["answer"]
    status: int
    policy: str


class Sent(Part):
    """The request as the upstream gets it."""

    method: str
    target: str
    headers: list[tuple[str, str]]


class Explanation(Part):
    """Where a request would go, and why."""

    request: Understood
    listener: str
    route: Chosen | None
    others: list[Other]
    policies: list[PolicyWord]
    """The effective list in the order in which it acts."""
    outcome: Annotated[Forward | Redirect | Respond | Admin | Answer | Refuse, Field(discriminator="kind")]
    sent: Sent | None
    health: dict[str, str] = Field(default_factory=dict)
    """By target, of a running gateway: `up`, `down` or `ejected`. Empty when no gateway was asked."""

    @property
    def upstream(self) -> str | None:
        """The upstream that is asked, if one is."""
        return self.outcome.upstream if isinstance(self.outcome, Forward) else None

    @property
    def status(self) -> int | None:
        """The status of the gateway's own answer; None where an upstream answers."""
        return getattr(self.outcome, "status", None)

    def with_health(self, upstreams: Mapping[str, Iterable[Mapping[str, str]]]) -> Explanation:
        """Give the same with the health of the targets, as the `upstreams` of a gateway's status tell it."""
        targets = upstreams.get(self.upstream or "", ())
        return self.model_copy(update={"health": {target["target"]: target["state"] for target in targets}})

    def __str__(self) -> str:
        return "\n".join(lines_of(self))


class Beside(TypedDict, total=False):
    """What may be said of a request beside its method and URL."""

    headers: Iterable[tuple[str, str]] | Mapping[str, str]
    """Its fields."""
    peer: str | None
    """The address that the connection comes from, "127.0.0.1" unless it is told; None: a Unix socket."""
    listener: str | None
    """The listener that is reached, else the one at the URL's port."""
    as_: str | Mapping[str, Any] | None
    """A `client.id`, or a table of `id`, `plan` and `claims`."""
    nearest: int
    """How many other routes are told."""
    given: Mapping[str, str | Mapping[str, Any]]
    """By policy in Python, what it is taken to say: "allow", "deny", "fail", or a table as in `[test.NAME]`."""


class Answering(Protocol):
    """What answers: a compiled table, or a gateway that runs."""

    def explain(self, request: bytes) -> Any:  # noqa: ANN401 - what JSON is made of
        """Explain a described request, in JSON. Raises ValueError, or PylosError, for one that makes no sense."""


class Asker:
    """Answers questions about one table. A question costs some microseconds.

    To make it of a table that is not `compiled` costs as much as a reload. `secrets` are the places in the table of
    what no answer shows.
    """

    def __init__(self, table: Mapping[str, Any], secrets: Places = (), compiled: Answering | None = None) -> None:
        self._compiled: Answering = compile_sound(table) if compiled is None else compiled
        self._secrets = values_at(table, secrets)

    @classmethod
    def of(cls, loaded: Loaded) -> Asker:
        """Ask about what was loaded."""
        return cls(loaded.table, loaded.secrets, loaded.compiled)

    def ask(self, method: str, url: str, **beside: Unpack[Beside]) -> Explanation:
        """Explain a request.

        `url` is a URL with http or https, or a path, at the host `localhost` where no field names one; `Beside` has
        what else may be told. Raises PylosError for a request that makes no sense.
        """
        question = question_of(method, url, **beside)
        try:
            answer = self._compiled.explain(json.dumps(question).encode())
        except ValueError as error:
            raise PylosError(str(error)) from None
        return explanation_of(answer, self._secrets)


def question_of(method: str, url: str, **beside: Unpack[Beside]) -> dict[str, Any]:
    """Put a question about a request as the core takes it. Raises PylosError for what is no verdict in `given`."""
    headers, client = beside.get("headers", ()), beside.get("as_")
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    if url.startswith("/") and "host" not in [name.lower() for name, _ in fields]:
        fields.append(("host", "localhost"))
    return {
        "method": method,
        "url": url,
        "headers": [list(field) for field in fields],
        "peer": beside.get("peer", "127.0.0.1"),
        "listener": beside.get("listener"),
        "as": {"id": client} if isinstance(client, str) else client,
        "nearest": beside.get("nearest", 0),
        "given": {name: given_of(name, said) for name, said in beside.get("given", {}).items()},
    }


def explanation_of(answer: object, secrets: Collection[str]) -> Explanation:
    """Read what the core has said, and hide secrets in it."""
    try:
        told = Explanation.model_validate(answer)
    except ValidationError:  # whose text has values of fields
        raise PylosError("a defect of Pylos: the core's answer is no explanation") from None
    return without_secrets(told, secrets) if secrets else told


def given_of(name: str, said: str | Mapping[str, Any]) -> dict[str, Any]:
    """Put what a policy is taken to say as the core takes it. Raises PylosError for what is no verdict."""
    if isinstance(said, str):
        if said not in ("allow", "deny", "fail"):
            raise PylosError(f'`{said}`, given for `{name}`, is no verdict: "allow", "deny" or "fail"')
        return given(said)
    try:
        return given(Given.model_validate(said))
    except ValidationError as error:
        raise PylosError(f"what is given for `{name}`: {error.errors(include_url=False)[0]['msg']}") from None


def without_secrets(told: Explanation, secrets: Collection[str]) -> Explanation:
    """Hide secrets wherever an explanation has what fields hold."""
    policies = [
        policy.model_copy(
            update={
                "request": [hidden_in_line(line, secrets) for line in policy.request],
                "response": [hidden_in_line(line, secrets) for line in policy.response],
            }
        )
        for policy in told.policies
    ]
    sent = told.sent
    if sent is not None:
        sent = sent.model_copy(update={"headers": [(name, hidden(value, secrets)) for name, value in sent.headers]})
    return told.model_copy(update={"policies": policies, "sent": sent})


def lines_of(told: Explanation) -> Iterator[str]:
    """Write an explanation for a reader."""
    request = told.request
    query = f"?{request.query}" if request.query is not None else ""
    yield f"{request.method} {request.scheme}://{request.host}{request.path}{query}"
    who = [text for text in (request.client_ip, request.client_id) if text]
    yield from column("client", [", ".join(dict.fromkeys(who))])
    yield from column("listener", [told.listener])
    yield from column("route", route_lines(told))
    yield from column("not", [f"{other.route}  {other.pattern}: {other.why_not}" for other in told.others])
    yield from column("policies", [line for policy in told.policies for line in policy_lines(policy)])
    yield from column("outcome", outcome_lines(told))
    if told.sent is not None:
        first = f"{told.sent.method} {told.sent.target}"
        yield from column("sent", [first, *(f"{name}: {value}" for name, value in told.sent.headers)])


def column(head: str, lines: Iterable[str]) -> Iterator[str]:
    """Write lines beside their heading."""
    for line in lines:
        yield f"  {head:<9} {line}".rstrip()
        head = ""


def route_lines(told: Explanation) -> Iterator[str]:
    """Tell the route and why."""
    if told.route is None:
        yield "none"
        return
    yield f"{told.route.name}  {told.route.pattern}"
    yield f"because {', '.join(told.route.why)}"
    yield from (f"{{{name}}} is `{value}`" for name, value in told.route.captures.items())


def policy_lines(policy: PolicyWord) -> Iterator[str]:
    """Tell what a policy would do."""
    share = "" if policy.enforce == ALWAYS else f", enforced for {policy.enforce} % of the requests"
    yield f"{policy.name} ({policy.type}, {policy.phase}{share}): {policy.effect}"
    if policy.condition is not None:
        yield f"    if {policy.condition.text}: {verdict_of(policy.condition, acts=policy.acts)}"
    yield from (f"    request: {edit}" for edit in policy.request)
    yield from (f"    response: {edit}" for edit in policy.response)


ALWAYS = 100


def verdict_of(condition: Condition, *, acts: bool) -> str:
    """Tell whether a condition holds, and what follows where that cannot be told."""
    if condition.holds is None:
        return f"cannot tell, {condition.unclear}; so it {'acts' if acts else 'rests'}"
    return "holds" if condition.holds else "does not hold"


def outcome_lines(told: Explanation) -> Iterator[str]:
    """Tell what becomes of the request."""
    match told.outcome:
        case Forward(upstream=upstream, targets=targets):
            yield f"forwarded to upstream `{upstream}`"
            yield from (f"    {target}{state_of(told, target)}" for target in targets)
        case Redirect(status=status, location=location):
            yield f"{status}, redirect to {location}"
        case Respond(status=status):
            yield f"{status}, a fixed answer"
        case Admin():
            yield "answered by the admin listener"
        case Answer(status=status, policy=policy):
            yield f"{status}, an answer of policy `{policy}`"
        case Refuse(status=status, reason=reason, stage=stage, detail=detail):
            yield f"{status}, refused at the stage `{stage}`, reason `{reason}`: {detail}"


def state_of(told: Explanation, target: str) -> str:
    """Tell a target's health where it is known."""
    state = told.health.get(target)
    return f"  {state}" if state else ""
