"""Where a configuration comes from: a file, which may change, or a document that is what it is."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from pylos.config import Config, Loaded, load
from pylos.config.material import OF_MATERIAL, without_material
from pylos.config.secrets import with_stand_ins
from pylos.errors import ConfigError, Place, Problem, PylosError
from pylos.supervisor.watch import contents

Result = TypeVar("Result")


@dataclass(frozen=True)
class Checked:
    """A sound configuration, as far as the supervisor cares about it."""

    table: dict[str, Any] = field(repr=False)
    """In the form that the gateway takes, secrets in plain text."""
    name: str = "the configuration"
    """What to call it where a place in a file is not known."""
    warnings: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """The files it was read from."""
    tests: dict[str, Any] = field(default_factory=dict)
    """The [test.*] tables: part of the document, though the gateway never sees them."""
    secrets: list[list[str | int]] = field(default_factory=list)
    """The places of secrets in the table."""
    contents: bytes = b""
    """Digest of the files when they were read."""
    folder: Path = field(default_factory=Path)
    """Where its policies in Python are looked for first."""
    acme: dict[str, Any] = field(default_factory=dict, repr=False)
    """The certificates that come by themselves (see `config/acme.py`), secrets in plain text."""
    named: dict[str, Any] = field(default_factory=dict)
    """Where its certificates were read, and how to read them again."""
    material: list[Path] = field(default_factory=list)
    """The files of that."""
    material_contents: bytes = b""
    """Digest of these when they were read."""

    @property
    def document(self) -> dict[str, Any]:
        """The table, `acme`, the tests and where secrets are: all that two configurations are compared by."""
        return {**self.table, "acme": self.acme, "test": self.tests, "secrets": self.secrets}

    @cached_property
    def digest(self) -> str:
        """Twelve characters that tell documents apart, whatever their text looks like.

        Of certificates it counts where they are from, if that is known: one that is renewed makes no other document.
        """
        document, places = self.document, self.secrets
        if self.named:
            document = {**without_material(document), "named": self.named}
            places = [place for place in places if place[0] not in OF_MATERIAL]
        shown = with_stand_ins(document, places, stand_in)
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:12]

    def problems(self, found: Iterable[Mapping[str, Any]]) -> list[Problem]:
        """Take over what the gateway process found wrong. Rare: the same compiler has checked the table before."""
        place = asdict(Place(self.name))
        return [Problem.from_json({**each, "place": place, "also": ()}) for each in found]


KEY = secrets.token_bytes(32)


def stand_in(secret: str) -> str:
    """Give what counts for a secret in a digest: nobody who sees that can try out what the secret is."""
    return hashlib.blake2b(secret.encode(), key=KEY).hexdigest()


Source = Path | Config | Loaded | Checked


def read(source: Source) -> Checked:
    """Load and check a source, as it is now. Raises ConfigError."""
    if isinstance(source, Checked):
        return source
    loaded = source if isinstance(source, Loaded) else load(source)
    name = str(source) if isinstance(source, Path) else Checked.name
    return Checked(
        loaded.table,
        name,
        loaded.warnings,
        files=loaded.watch,
        tests=loaded.tests,
        secrets=loaded.secrets,
        contents=contents(loaded.watch),
        folder=loaded.folder,
        acme=loaded.acme,
        named=loaded.named,
        material=loaded.material,
        material_contents=contents(loaded.material),
    )


def unread(checked: Checked) -> str | None:
    """Say that files are not what they were when they were read, if so."""
    if not checked.files or contents(checked.files) == checked.contents:
        return None
    return "the file has changed and has not been read yet"


def named_files(error: PylosError) -> list[Path]:
    """Give the files that a refusal is about: to mend one of them is a reason to read again."""
    if not isinstance(error, ConfigError):
        return []
    files = {Path(problem.place.file) for problem in error.problems}
    return [*sorted(file for file in files if file.is_file()), *error.files]


async def read_aside(source: Source) -> Checked:
    """Read in a thread: to compile a program may take seconds, in which a lost gateway process must be replaced."""
    return await in_thread(lambda: read(source))


async def in_thread(work: Callable[[], Result]) -> Result:
    """Do something in a thread that nobody waits for at the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not done.done():
            tell()

    def run() -> None:
        try:
            tell = partial(done.set_result, work())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            tell = partial(done.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, daemon=True).start()
    return await done
