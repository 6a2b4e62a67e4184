"""Write what of the manual is made from the sources: `python docs/generate.py`. A test holds that all is current.

The reference and the JSON Schema come from the models, the pages about problems from `pylos.config.codes`.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pylos.config.codes import MANUALS
from pylos.config.codes.manual import wrapped
from pylos.config.defaults import OF_KINDS
from pylos.config.schema import schema
from pylos.model import Table, units
from pylos.model.document import KINDS
from pylos.model.policy import POLICIES
from pylos.model.rate import is_rate

HERE = Path(__file__).parent

INTRODUCTION = """\
# Reference: every key

Generated from the models by `docs/generate.py`; do not edit by hand. What the tables are for, and how they play
together, is told in [Configuration](configuration.md).

- A **duration** is a string of a whole number and `ms`, `s`, `m` or `h`: `"250ms"`, `"3s"`.
- A **size** is a string of a whole number and `B`, `KB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`: `"64KiB"`.
- A **rate** is a string of a whole number, `/`, and `s`, `min`, `h` or `day`: `"600/min"`.
- A **name** is that of a policy, `[policy.NAME]`; a **code** is that of a [problem](errors.md), `"P203"`.
- `"${VAR}"` and `"${VAR:-default}"` may stand in every string.
"""

BESIDE = """\
## `include`

Further files of the same document: a list of paths and patterns, from the folder of the file that has it. A pattern
with `*` may find nothing. Default: none. Example: `include = ["conf.d/*.toml"]`.
"""


def main() -> None:
    """Write everything, and take away pages about codes that there are no more."""
    wanted = pages()
    for path in (HERE / "errors").glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Give everything that is made, by its place."""
    errors = HERE / "errors.md"
    return {
        HERE / "reference.md": reference(),
        HERE / "schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        errors: errors.read_text(encoding="utf-8").split(CODES)[0] + CODES + "".join(codes()),
        **{HERE / "errors" / f"{code}.md": manual.page() for code, manual in MANUALS.items()},
    }


CODES = "<!-- from here on: docs/generate.py -->\n"


def codes() -> Iterator[str]:
    """Tell in short what each code is about."""
    for code, manual in MANUALS.items():
        warning = "Warning: " if manual.severity == "warning" else ""
        title = f"{warning}{manual.title}" if warning else manual.title[0].upper() + manual.title[1:]
        told = wrapped(f"**{title}.** {manual.meaning} [Example and remedy](errors/{code}.md)")
        yield f"\n## {code}\n\n{told}"


def reference() -> str:
    """Make the page about every key."""
    tables = [(title_of(kind, model), model) for kind, models in KINDS.items() for model in models]
    contents = "\n".join(f"- [{title}](#{anchor(title)})" for title, _ in tables)
    parts = [INTRODUCTION, contents, ""]
    for title, model in tables:
        parts += section(title, model, level=2)
    parts += [BESIDE, *defaults()]
    return "\n".join(parts).rstrip() + "\n"


def defaults() -> Iterator[str]:
    """Tell which kinds have defaults."""
    for kind in OF_KINDS:
        yield f"## `[defaults.{kind}]`\n"
        yield f"What every `[{kind}.NAME]` has unless it says otherwise: [the same keys](#{kind}name), none required.\n"


def title_of(kind: str, model: type[Table]) -> str:
    """Name a table as a file does."""
    if kind == "pylos":
        return "`[pylos]`"
    types = [name for name, policy in POLICIES.items() if policy is model]
    return f"`[{kind}.NAME]`" + "".join(f', type `"{name}"`' for name in types)


def anchor(title: str) -> str:
    """Give the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def section(title: str, model: type[Table], level: int) -> Iterator[str]:
    """Tell a table, and below it the tables in it."""
    yield f"{'#' * level} {title}\n"
    yield f"{inspect.cleandoc(model.__doc__ or '')}\n\nIn Python: `pylos.{model.__name__}`.\n"
    yield "| key | type | default | what it does | example |\n|---|---|---|---|---|"
    inner: dict[type[Table], list[str]] = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        if name not in model.model_fields:
            continue
        field = model.model_fields[name]
        key = f"`{field.alias or name}`"
        manual, default, example = parts_of(field.description or "")
        yield f"| {key} | {type_of(hint, name)} | {default} | {manual} | {example} |".replace("{|}", "\\|")
        for found in dict.fromkeys(tables_in(hint)):
            inner.setdefault(found, []).append(key)
    yield ""
    for found, keys in inner.items():
        yield from section(f"{' and '.join(keys)} of {title}", found, level + 1)


DEFAULT = r"(?:Default: (?P<default>.*?)|Required(?: in a file)?)"
MANUAL = re.compile(rf"(?P<manual>.*?)\s*{DEFAULT}\.\s+Example: (?P<example>.*)\.")


def parts_of(description: str) -> tuple[str, str, str]:
    """Take a field's docstring apart: what it does, its default, an example."""
    found = MANUAL.fullmatch(re.sub(r"\s+", " ", description).strip().replace("|", "{|}"))
    if found is None:
        raise ValueError(f"a field's docstring ends with its default and an example: {description!r}")
    return found["manual"], found["default"] or "required", found["example"]


def type_of(hint: Any, name: str) -> str:  # noqa: ANN401 - any type
    """Spell a type in the words of a file."""
    *others, last = dict.fromkeys(shapes_of(hint))
    shapes = f"{', '.join(others)} or {last}" if others else last
    return shapes.replace("string", WORDS[name]) if name in WORDS else shapes


WORDS = {"use": "name", "without": "name", "require": "name", "silence": "code"}
"""What the strings of these keys are."""


def shapes_of(hint: Any) -> Iterator[str]:  # noqa: ANN401 - any type
    """Give the shapes that a value may have, None left out: it is what was not written."""
    origin, arguments = get_origin(hint), get_args(hint)
    if unit := unit_of(hint):
        yield unit
    elif hint in PLAIN:
        yield PLAIN[hint]
    elif isinstance(hint, type) and issubclass(hint, Table):
        yield "table"
    elif origin is Literal:
        yield from (f'`"{value}"`' if isinstance(value, str) else f"`{value}`".lower() for value in arguments)
    elif origin is list:
        yield f"list of {plural(dict.fromkeys(shapes_of(arguments[0])))}"
    elif origin is dict:
        yield f"table of {plural(dict.fromkeys(shapes_of(arguments[1])))}"
    elif origin is Annotated:
        yield from shapes_of(arguments[0])
    elif hint is not NoneType:
        for argument in arguments:
            yield from shapes_of(argument)


def unit_of(hint: Any) -> str | None:  # noqa: ANN401 - any type
    """Name what is written with a unit."""
    return "rate" if is_rate(hint) else next((name for name, kinds in UNITS.items() if hint in kinds), None)


PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any value"}
UNITS: dict[str, tuple[Any, ...]] = {
    "duration": (units.Duration, units.DurationOrZero, units.Interval),
    "size": (units.LineSize, units.HeadSize, units.BodySize),
    "size a second": (units.Rate,),
    "percentage": (units.Share,),
}


def plural(shapes: dict[str, None]) -> str:
    """Give the shapes of a list's entries, or of a table's values."""
    return " and ".join(
        "any values" if shape == PLAIN[Any] else shape if "`" in shape else f"{shape}s" for shape in shapes
    )


def tables_in(hint: Any) -> list[type[Table]]:  # noqa: ANN401 - any type
    """Find the tables inside of a type."""
    if isinstance(hint, type):
        return [hint] if issubclass(hint, Table) else []
    return [table for argument in get_args(hint) for table in tables_in(argument)]


if __name__ == "__main__":
    main()
