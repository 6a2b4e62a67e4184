"""Where a configuration comes from: a file, which may change, or a document that is what it is."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pylos.config import Config, Loaded, load
from pylos.config.material import OF_MATERIAL, without_material
from pylos.config.secrets import with_stand_ins
from pylos.contents import digest, is_file
from pylos.errors import ConfigError, Place, Problem, PylosError
from pylos.supervisor.aside import in_thread


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
    """Where its certificates were read, how to read them again, and about which of them no warning is told."""
    material: list[Path] = field(default_factory=list)
    """The files of that."""
    material_contents: bytes = b""
    """Digest of these when they were read."""

    @property
    def document(self) -> dict[str, Any]:
        """The table, `acme`, the tests and where secrets are: all that two configurations are compared by."""
        return {**self.table, "acme": self.acme, "test": self.tests, "secrets": self.secrets}

    @property
    def sources(self) -> dict[str, Any]:
        """Where its certificates were read."""
        return {kind: of for kind, of in self.named.items() if kind != "silence"}

    @cached_property
    def digest(self) -> str:
        """Twelve characters that tell documents apart, whatever their text looks like.

        Of certificates it counts where they are from, if that is known: one that is renewed makes no other document.
        """
        document, places = self.document, self.secrets
        if self.named:
            document = {**without_material(document), "named": self.sources}
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
    files, material = list(dict.fromkeys(loaded.watch)), list(dict.fromkeys(loaded.material))
    return Checked(
        loaded.table,
        name,
        loaded.warnings,
        files=files,
        tests=loaded.tests,
        secrets=loaded.secrets,
        contents=digest(files, loaded.held),
        folder=loaded.folder,
        acme=loaded.acme,
        named=loaded.named,
        material=material,
        material_contents=digest(material, loaded.held),
    )


async def unread(checked: Checked) -> str | None:
    """Say that files are not what they were when they were read, if so."""
    if not checked.files or await in_thread(lambda: digest(checked.files)) == checked.contents:
        return None
    return "the file has changed and has not been read yet"


async def refused_files(error: PylosError, in_use: Sequence[Path]) -> tuple[list[Path], bytes]:
    """Give the files that a refusal is about, to mend one of which is a reason to read again, behind those in use.

    And the digest of what they held when it was found out.
    """
    if not isinstance(error, ConfigError):
        return [*in_use], b""
    return await in_thread(lambda: named_files(error, in_use))


def named_files(error: ConfigError, in_use: Sequence[Path]) -> tuple[list[Path], bytes]:
    """Give the same of what the checks have refused."""
    named = sorted({Path(problem.place.file) for problem in error.problems})
    files = list(dict.fromkeys([*in_use, *filter(is_file, named), *error.files]))
    return files, digest(files, error.held)


async def read_aside(source: Source) -> Checked:
    """Read in a thread: to compile a program may take seconds, in which a lost gateway process must be replaced."""
    return await in_thread(lambda: read(source))
