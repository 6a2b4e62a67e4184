"""A secret: never in the file itself, but where it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, SecretStr, model_validator

from pylos.contents import NoFileError, read
from pylos.model.base import Table, wrong
from pylos.pasted import is_pasted

SHOWN = "***"
"""What stands in the place of a secret wherever it would be printed."""


MOST_BYTES = 1 << 20
"""A larger file holds something else."""


class Secret(Table):
    """What must not stand in a file: `{ file = "..." }` or `{ env = "..." }`, read when the configuration is loaded.

    Neither `str`, `repr` nor a dump gives it away, and two of them are equal when their values are. Errors (P114) name
    the file or the variable, never what is in it.
    """

    file: Annotated[str, Field(min_length=1)] | None = None
    """A file that holds the secret; line ends at its end do not count.

    A relative path starts at the directory in which Pylos was started. Default: absent.
    Example: `file = "/run/secrets/pylos"`.
    """

    env: Annotated[str, Field(min_length=1)] | None = None
    """A variable of the environment that holds it.

    Default: absent. Example: `env = "PYLOS_SECRET"`.
    """

    _value: SecretStr = PrivateAttr(default=SecretStr(""))

    @model_validator(mode="after")
    def read(self) -> Secret:
        """Read the value; raises P105, P108 or P114."""
        for key, said in (("file", self.file), ("env", self.env)):
            if said is not None and ("\n" in said or is_pasted(said)):
                hint = "name the file or the variable that has it"
                raise wrong("P114", "the secret itself stands where its place is named", hint=hint, keys=[key])
        if self.file is not None and self.env is not None:
            raise wrong("P108", "cannot stand beside `file`: a secret comes from one place", keys=["env"])
        if self.file is not None:
            self._value = SecretStr(from_file(self.file))
        elif self.env is not None:
            self._value = SecretStr(from_environment(self.env))
        else:
            raise wrong("P105", "no place to read the secret from", hint='add `file = "..."` or `env = "..."`')
        return self

    def reveal(self) -> str:
        """Give the secret itself."""
        return self._value.get_secret_value()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - rich's protocol, which pydantic implements with all fields
        yield SHOWN


def from_file(file: str) -> str:
    """Read a secret from a file."""
    try:
        data = read(Path(file), MOST_BYTES)
        value = data.decode().rstrip("\r\n")
    except NoFileError:
        raise wrong("P114", f"`{file}` is no file", keys=["file"]) from None
    except OSError as error:
        raise wrong("P114", f"`{file}` cannot be read: {error.strerror}", keys=["file"]) from None
    except (UnicodeDecodeError, ValueError):
        raise wrong("P114", f"`{file}` holds no text in UTF-8", keys=["file"]) from None
    if not value:
        raise wrong("P114", f"`{file}` is empty", keys=["file"])
    if len(data) > MOST_BYTES:
        raise wrong("P114", f"`{file}` is larger than {MOST_BYTES >> 20} MiB", keys=["file"])
    return value


def from_environment(name: str) -> str:
    """Read a secret from the environment."""
    value = os.environ.get(name)
    if not value:
        raise wrong("P114", f"the variable `{name}` is {'not set' if value is None else 'empty'}", keys=["env"])
    return value
