"""`/config`: the document in use, and another one in its place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from pylos.config import Loaded, load_text
from pylos.config.diff import Change, changes
from pylos.config.meaning import Meaning
from pylos.config.problem_json import as_json
from pylos.config.secrets import with_stand_ins
from pylos.errors import ConfigError, Problem
from pylos.model.secret import SHOWN
from pylos.supervisor.api.message import Answer, ProblemError, Request, told
from pylos.supervisor.api.resource import Api
from pylos.supervisor.aside import in_thread
from pylos.supervisor.events import ChangedError
from pylos.supervisor.source import read

FORMS = {"application/toml": "put.toml", "text/plain": "put.toml", "": "put.toml", "application/json": "put.json"}
"""By media type, a name of a file by which that is read as such."""
BODY = "the body"
"""What problems call the place of what was sent."""


async def show(api: Api, request: Request) -> Answer:
    """Tell the document in use, without its secrets."""
    entry = api.supervisor.history.in_use
    if "if-none-match" in request.fields:
        tags = request.tags("if-none-match")
        if tags is None or entry.digest in tags:
            return Answer(304, fields={"etag": f'"{entry.digest}"'})
    document = await in_thread(lambda: shown(entry.document))
    return told({"number": entry.number, "digest": entry.digest, "document": document}, tag=entry.digest)


def shown(document: dict[str, Any]) -> dict[str, Any]:
    """Give a document with something else in the place of each secret."""
    secrets = document.pop("secrets")
    return dict(with_stand_ins(document, secrets, lambda _: SHOWN))


async def put(api: Api, request: Request) -> Answer:
    """Check what was sent, and put it into use unless it is only to be tried."""
    if "if-match" not in request.fields:
        hint = "send the ETag of what is to be replaced, or `If-Match: *`"
        raise ProblemError(428, "no_if_match", "A configuration is only put in place of a known one.", hint=hint)
    known, dry_run = request.tags("if-match"), is_dry_run(request)
    unchanged(api, known)
    loaded = await in_thread(lambda: parsed(api, request))
    if dry_run:
        return await tried(api, loaded, known)
    taken = await api.answers.put(await in_thread(lambda: read(loaded)), known)
    return told(with_problems(taken, loaded.warnings), tag=api.supervisor.checked.digest)


def is_dry_run(request: Request) -> bool:
    """Whether it is only to be tried. Raises ProblemError for another word, which must not come to the opposite."""
    options = request.options
    said = options.pop("dry_run", "false")
    if said not in ("true", "false") or options:
        raise ProblemError(400, "bad_query", "The query is `dry_run=true`, `dry_run=false` or nothing.")
    return said == "true"


def unchanged(api: Api, known: Collection[str] | None) -> None:
    """Refuse to go on from what is not in use any more."""
    digest = api.supervisor.checked.digest
    if known is not None and digest not in known:
        raise ChangedError(f"another configuration is in use, with the digest {digest}")


def parsed(api: Api, request: Request) -> Loaded:
    """Load what was sent, as if it lay beside the configuration in use. Raises ConfigError, ProblemError."""
    form = request.fields.get("content-type", "").partition(";")[0].strip().lower()
    if form not in FORMS:
        names = " or ".join(name for name in FORMS if name.startswith("application"))
        raise ProblemError(415, "bad_content_type", f"A configuration is {names}.")
    name = str(api.supervisor.checked.folder / FORMS[form])
    try:
        loaded = load_text(request.body, name)
    except ConfigError as error:
        raise ConfigError(renamed(problem, name) for problem in error.problems) from None
    return replace(loaded, warnings=[renamed(problem, name) for problem in loaded.warnings])


def renamed(problem: Problem, name: str) -> Problem:
    """Give a problem with the body in place of a file that is none."""
    also = tuple((replace(place, file=BODY) if place.file == name else place, label) for place, label in problem.also)
    place = replace(problem.place, file=BODY) if problem.place.file == name else problem.place
    return replace(problem, place=place, also=also)


async def tried(api: Api, loaded: Loaded, known: Collection[str] | None) -> Answer:
    """Tell what would change, and change nothing."""
    in_use = api.supervisor.history.in_use
    found: list[Change] = await in_thread(lambda: changes(Meaning(in_use.document), Meaning.of(loaded)))
    unchanged(api, known)  # the answer is about what it was asked about
    plain = {"dry_run": True, "number": in_use.number, "changes": [change.as_json() for change in found]}
    return told(with_problems(plain, loaded.warnings), tag=in_use.digest)


def with_problems(plain: dict[str, Any], warnings: Collection[Problem]) -> dict[str, Any]:
    """Give an answer with warnings in the form of `pylos check --json`."""
    return {**plain, "warnings": [as_json(problem) for problem in warnings]}
