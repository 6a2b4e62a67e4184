"""The way in: a source becomes a `Loaded`, or a ConfigError that tells all that is wrong with it."""

from __future__ import annotations

from pathlib import Path

from pylos.config.check import Loaded, check
from pylos.config.parse import parse
from pylos.config.twin import Config
from pylos.errors import ConfigError, Place, Problem

__all__ = ["Loaded", "load", "load_text"]


def load(source: Path | str | Config) -> Loaded:
    """Load a file, or give what a Config already is. Raises ConfigError with every problem."""
    if isinstance(source, Config):
        return source.loaded
    path = Path(source)
    return load_text(read(path), str(path), watch=[path])


def load_text(text: str, name: str, *, watch: list[Path] | None = None) -> Loaded:
    """Load a document given as text; `name` stands for the file in problems."""
    document, places = parse(text, name)
    return check(document, places, watch=watch or [])


def read(path: Path) -> str:
    """Read a file as UTF-8, with or without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise unreadable(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise unreadable(path, f"is not UTF-8 (byte {error.start + 1})") from None


def unreadable(path: Path, message: str) -> ConfigError:
    """Make the error of a file that gives no text."""
    problem = Problem(code="P100", severity="error", path=(), message=message, hint=None, place=Place(str(path)))
    return ConfigError([problem])
