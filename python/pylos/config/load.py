"""The way in: a source becomes a `Loaded`, or a ConfigError that tells all that is wrong with it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pylos.config.check import Loaded, check_gathered
from pylos.config.include import Gathered
from pylos.config.program import is_program, load_program
from pylos.config.twin import Config
from pylos.contents import digest_of
from pylos.errors import ConfigError, Place, Problem

__all__ = ["Loaded", "load", "load_text"]


def load(source: Path | str | Config, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """Load a file, or give what a Config already is. Raises ConfigError with every problem.

    A file whose name ends in `.json` is JSON, any other is TOML. `environ` is where variables are looked up, by
    default the environment of the process.
    """
    if isinstance(source, Config):
        return source.loaded
    if is_program(str(source)):
        return load_program(str(source))
    path = Path(source)
    held = {path: digest_of(path)}  # before it is read: what changes from now on is a change
    try:
        return load_text(read(path), str(path), watch=[path], environ=environ, held=held)
    except ConfigError as error:
        error.held = held | error.held
        raise


def load_text(
    text: str,
    name: str,
    *,
    watch: list[Path] | None = None,
    environ: Mapping[str, str] | None = None,
    held: Mapping[Path, bytes] | None = None,
) -> Loaded:
    """Load a document given as text; `name` stands for the file in problems, and includes start in its folder.

    `held` are digests of what the files to `watch` held when they were read.
    """
    gathered = Gathered(os.environ if environ is None else environ, watch=list(watch or []), held=dict(held or {}))
    with collector_at_rest():
        gathered.file(Path(name), text, name)
        return check_gathered(gathered)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect no garbage meanwhile: next to nothing of what loading makes is any, and each look goes through all of it.

    That is a third of the time of a large document.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read(path: Path, *, mark: bool = False) -> str:
    """Read a file as UTF-8, with or without a byte order mark, which is only given where it is asked for."""
    try:
        return path.read_bytes().decode("utf-8" if mark else "utf-8-sig")
    except OSError as error:
        raise unreadable(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise unreadable(path, f"is not UTF-8 (byte {error.start + 1})", line) from None


def unreadable(path: Path, message: str, line: int = 0) -> ConfigError:
    """Make the error of a file that gives no text."""
    problem = Problem(code="P100", severity="error", path=(), message=message, hint=None, place=Place(str(path), line))
    return ConfigError([problem])
