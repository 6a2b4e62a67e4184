"""What all tables share: strictness, and the memory of the call that made them."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, LiteralString

from pydantic import BaseModel, ConfigDict, Discriminator, PrivateAttr, Tag
from pydantic_core import PydanticCustomError

from pylos.errors import Place


class Table(BaseModel):
    """One table of the document.

    Made in Python, a table only remembers what it was given and where: `pylos.Config` checks the whole document,
    so that all problems are reported together, each with the line of the call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that someone might look for here, each with the hint that says where they belong."""

    _given: dict[str, Any] | None = PrivateAttr(default=None)
    _place: Place | None = PrivateAttr(default=None)

    def __init__(self, /, **given: Any) -> None:  # noqa: ANN401 - any value may be given, that is what is checked later
        fields = type(self).model_fields
        # `if` is a word of Python's own: there the key is written `if_`.
        given = {(fields[key].alias or key) if key in fields else key: value for key, value in given.items()}
        self.__setstate__(type(self).model_construct(**given).__getstate__())
        self._given = given
        self._place = calling_place()

    # Tells pydantic that tables inside a document need not go through this constructor.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @property
    def given(self) -> dict[str, Any]:
        """What was written, defaults left out."""
        return self.model_dump(by_alias=True, exclude_unset=True) if self._given is None else self._given

    @property
    def settled(self) -> bool:
        """Whether it was read from a file: variables in its strings have been replaced, secrets are known."""
        return self._given is None

    @property
    def place(self) -> Place | None:
        """The call that made this table; None when it came from a file."""
        return self._place


def defaults_of(model: type[Table]) -> Callable[[], Any]:
    """Make the default of a key that is a table: all of the table's own defaults. One for all, since it is frozen."""
    return lru_cache(lambda: model.model_validate({}))


def calling_place() -> Place:
    """Find the line outside of the model and its checks that is being run."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(("pylos.model", "pylos.config")):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Place(file=file, line=line, source=linecache.getline(file, line).rstrip("\n"))


def wrong(
    code: LiteralString, message: str, *, hint: str | None = None, keys: Sequence[str] = ()
) -> PydanticCustomError:
    """Make the error of a validator. `keys` are the keys it is about: it is shown at the first that is there."""
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint, "keys": list(keys)})


def one_of_shapes(message: str, **shapes: type | Callable[[Any], bool]) -> Discriminator:
    """Choose the branch of a union by the value's shape, so that a mistake in one branch is no error in the others."""

    def choose(value: object) -> str | None:
        for name, shape in shapes.items():
            if isinstance(value, shape) if isinstance(shape, type) else shape(value):
                return branch(name)
            if shape is dict and isinstance(value, Table):  # asked when a table is dumped
                return branch(name)
        return None

    return Discriminator(choose, custom_error_type="P104", custom_error_message=message)


def branch(name: str) -> str:
    """Spell the name of a union's branch as no key of a document is spelled."""
    return f"\0{name}"


def is_branch(step: str | int) -> bool:
    """Whether a step of an error's path is the name of a branch rather than a key."""
    return isinstance(step, str) and step.startswith("\0")


OneOrMany = Annotated[
    Annotated[str, Tag(branch("one"))] | Annotated[list[str], Tag(branch("many"))],
    one_of_shapes("must be a string or a list of strings", one=str, many=list),
]
"""A string, or a list of strings."""


def many(value: str | list[str]) -> list[str]:
    """Give a OneOrMany as a list."""
    return [value] if isinstance(value, str) else value
