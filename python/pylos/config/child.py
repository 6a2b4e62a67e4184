"""`python -m pylos.config.child SOURCE SECONDS`: runs a user's program and writes the document that it built, as JSON.

    {"document", "places": [[path, place]...], "files"}    what it built, where its calls stand, what it imported
    {"problems": [...]}                                     what it built cannot be a document
    {"failed": {"message", "place", "hint"}}                it raised, or built no Config

The answer goes to what was standard output; what the program itself prints goes to standard error.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import linecache
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, time
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from pylos.config import twin
from pylos.config.problems import Report
from pylos.config.program import FOREIGN
from pylos.config.twin import CallPlaces, Config
from pylos.errors import ConfigError, Place
from pylos.imported import is_foreign, own_files
from pylos.rights import give_up_root

USUAL_NAME = "config"
GRACE = 2.0
"""Seconds after which a child that lost its parent ends by itself."""


@dataclass(frozen=True)
class Unchecked:
    """What a Config holds here: the document as it was written. The checks are the parent's."""

    document: Mapping[str, Any]
    places: CallPlaces
    watch: list[Path]
    found: Report
    """What is wrong with the models themselves."""


def main(source: str, seconds: float) -> None:
    """Run the program and write the answer."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
        vars(twin)["check"] = Unchecked  # what a Config asks, and only in this process
        json.dump(answer_of(source), answer, default=foreign)


def answer_of(source: str) -> dict[str, Any]:
    """Build the document, or tell why there is none."""
    path, _, name = source.rpartition(":") if not source.endswith(".py") else (source, "", "")
    folder = Path.cwd() if name else Path(path).absolute().parent
    program = Path(path).absolute() if not name else folder
    give_up_root([program, program.parent])
    sys.path.insert(0, str(folder))
    try:
        written = written_by(source, path, name)
    except ConfigError as error:
        return {"problems": [asdict(problem) for problem in error.problems]}
    except BaseException as error:  # noqa: BLE001 - SystemExit and all: it is the user's program that failed
        return {"failed": failed(error, source)}
    if isinstance(written, str):
        return {"failed": {"message": written, "place": asdict(Place(source)), "hint": HINT}}
    return {
        "document": written.document,
        "places": [[list(path), asdict(place)] for path, place in written.places.calls.items()],
        "found": [asdict(problem) for problem in written.found.problems],
        "spoiled": [list(path) for path in written.found.spoiled],
        "files": files_below(folder, path if not name else None),
    }


HINT = (
    f"a file has `{USUAL_NAME} = pylos.Config(...)`; module:name may name a Config, or a function without arguments "
    "that returns one"
)


def written_by(source: str, path: str, name: str) -> Unchecked | str:
    """Import the program, and find what it built; a text says what is wrong with that."""
    module = importlib.import_module(path) if name else module_of(Path(path))
    wanted = name or USUAL_NAME
    if not hasattr(module, wanted):
        return f"{source} has no `{wanted}`"
    made = getattr(module, wanted)
    if callable(made) and not isinstance(made, type):
        if inspect.iscoroutinefunction(made):
            return f"`{wanted}` is an async function, not one that returns a Config"
        if any(needed(parameter) for parameter in inspect.signature(made).parameters.values()):
            return f"`{wanted}` takes arguments, and there are none to give it"
        made = made()
        wanted += "()"
    if isinstance(made, Config) and isinstance(made.loaded, Unchecked):
        return made.loaded
    return f"`{wanted}` is a {type(made).__name__}, not a pylos.Config"


def needed(parameter: inspect.Parameter) -> bool:
    """Whether a function cannot be called without this argument."""
    optional = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional


def module_of(path: Path) -> ModuleType:
    """Run a file as a module of its own name, so that it is not `__main__`."""
    name = path.stem if path.stem not in sys.modules else "__program__"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def files_below(folder: Path, program: str | None) -> list[str]:
    """List the program and what it imported from its own folder."""
    own = {str(file) for file in own_files() if file.is_relative_to(folder)}
    return [*([program] if program else []), *sorted(own - {program_path(program)})]


def program_path(program: str | None) -> str | None:
    """Give the name under which the import system knows the program."""
    return str(Path(program).absolute()) if program else None


def foreign(value: object) -> object:
    """Write what JSON does not know, so that the parent can tell it from all else."""
    text = value.isoformat() if isinstance(value, date | time) else ""
    return {FOREIGN: [type(value).__name__, text]}


# -- what went wrong --------------------------------------------------------------------------------------------------


def failed(error: BaseException, source: str) -> dict[str, Any]:
    """Tell where a program failed: the last of its own lines, and how it came there."""
    frames = own_frames(error.__traceback__)
    message = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        text = (error.text or "").rstrip("\n")
        length = max(1, (error.end_offset or 0) - (error.offset or 0))
        place = Place(error.filename, error.lineno, error.offset or 0, length, text)
    elif frames:
        place = place_of(frames.pop())
    else:
        place = Place(source)
    way = [f"called from {from_here(frame.filename)}:{frame.lineno} in {frame.name}" for frame in reversed(frames)]
    return {"message": message, "place": asdict(place), "hint": "\n".join(way) or None}


def from_here(file: str) -> str:
    """Name a file as someone who stands here would."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def own_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """Give the frames that are neither ours nor Python's nor an installed package's."""
    frames = traceback.extract_tb(trace)
    return [one for one in frames if not (one.filename.startswith("<frozen") or is_foreign(Path(one.filename)))]


def place_of(frame: traceback.FrameSummary) -> Place:
    """Give the line of a frame."""
    line = frame.lineno or 0
    return Place(frame.filename, line, source=linecache.getline(frame.filename, line).rstrip("\n"))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
