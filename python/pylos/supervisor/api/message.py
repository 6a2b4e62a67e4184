"""A request of the admin API and its answer, whatever way they came and go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError

from pylos.config.problem_json import as_json
from pylos.errors import BindError, ConfigError, GatewayError, Problem, PylosError
from pylos.supervisor.events import ChangedError

Body = TypeVar("Body", bound=BaseModel)
JSON = "application/json"
PROBLEM = "application/problem+json"
MOST_BODY = 8 << 20
"""Bytes of a request's body; a gateway process lets no larger one pass, either."""


@dataclass(frozen=True)
class Request:
    """A request whose message was sound."""

    method: str
    path: str
    query: str = ""
    """Without its `?`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""
    body: str = ""
    may_change: bool = False
    """Whether who asks may change what runs."""

    @property
    def options(self) -> dict[str, str]:
        """The parameters of the query; of one that is repeated, the last."""
        return {name: values[-1] for name, values in parse_qs(self.query, keep_blank_values=True).items()}

    def tags(self, name: str) -> frozenset[str] | None:
        """Read a list of entity tags (RFC 9110, 13.1); None = any, `*`. Raises ProblemError for one that is none."""
        text = self.fields.get(name, "").strip()
        if text == "*":
            return None
        tags = [tag.strip() for tag in text.split(",")]
        if not all(is_tag(tag) for tag in tags):
            raise ProblemError(400, "bad_tag", f"{name}: a list of entity tags, or `*`")
        return frozenset(tag[1:-1] for tag in tags if not tag.startswith("W/"))

    def read(self, model: type[Body]) -> Body:
        """Read the body, JSON; an empty one says nothing. Raises ProblemError."""
        try:
            return model.model_validate_json(self.body or "{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ProblemError(400, "bad_body", f"{where}: {first['msg']}" if where else first["msg"]) from None


def is_tag(text: str) -> bool:
    """Whether a text is an entity tag."""
    inner = text.removeprefix("W/")
    return len(inner) >= 2 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1]


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int
    body: str = ""
    content_type: str = JSON
    fields: Mapping[str, str] = field(default_factory=dict)


def told(value: object, status: int = 200, tag: str | None = None) -> Answer:
    """Answer with a value as JSON, and the entity tag of what it is about."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Answer(status, body, JSON, {} if tag is None else {"etag": f'"{tag}"'})


class ProblemError(Exception):
    """What is wrong with a request, told as a problem document (RFC 9457)."""

    def __init__(  # noqa: PLR0913 - each is a member of the document, or a field beside it
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.answer = Answer(status, document(status, reason, detail, hint, problems), PROBLEM, fields or {})


def document(status: int, reason: str, detail: str, hint: str | None, problems: Iterable[Problem]) -> str:
    """Write a problem document; `problems` of a configuration have the form that `pylos check --json` gives them."""
    known: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    found = [as_json(problem) for problem in problems]
    more = {**({"hint": hint} if hint else {}), **({"problems": found} if found else {})}
    return json.dumps({**known, **more}, ensure_ascii=False, separators=(",", ":")) + "\n"


def problem_of(error: PylosError, refused: int = 409) -> ProblemError:
    """Tell an error of the supervisor. One that is nothing more particular is a request that is `refused`."""
    match error:
        case ConfigError():
            return ProblemError(422, "config_refused", "The configuration is wrong.", problems=error.problems)
        case ChangedError():
            return ProblemError(412, "config_changed", f"{error}.", hint="look at it, and decide anew")
        case BindError():
            return ProblemError(409, "bind_failed", str(error))
        case GatewayError():
            return ProblemError(503, "gateway_failed", str(error))
        case _:
            return ProblemError(refused, "refused", str(error))
