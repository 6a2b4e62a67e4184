"""`${VAR}` and `${VAR:-default}` in the strings of a document.

They stand in any string value, not in keys. `${VAR}` is the variable's value and an error (P111) where it is not set;
`${VAR:-default}` is the default where it is not set or empty; `$${` is a literal `${`, and a `$` before anything else
is only itself. What a variable holds is text and nothing more: it is not read as TOML and not looked through for
further variables. A key that takes a number, a boolean, a list or a table gets none of them from a variable; what the
language writes as a string, such as "30s" or "64KiB", it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylos.errors import KeyPath

TOKEN = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")

Failed = Callable[[KeyPath, str, int, str, str | None], None]
"""Told of what cannot be replaced: path, the text around it, how many tokens of it come before, message, hint."""


@dataclass(frozen=True)
class Variables:
    """Replaces variables by what they hold."""

    environ: Mapping[str, str]
    failed: Failed

    def replaced(self, value: Any, path: KeyPath) -> Any:  # noqa: ANN401 - any part of a document
        """Give a value with all variables in it replaced."""
        if isinstance(value, str):
            return self.text(value, path) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.replaced(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.replaced(inner, (*path, index)) for index, inner in enumerate(value)]
        return value

    def text(self, text: str, path: KeyPath) -> str:
        """Replace the variables of one string."""
        parts, end = [], 0
        for index, token in enumerate(TOKEN.finditer(text)):
            parts += [text[end : token.start()], self.held(token, path, index)]
            end = token.end()
        return "".join([*parts, text[end:]])

    def held(self, token: re.Match[str], path: KeyPath, index: int) -> str:
        """Give what stands in the place of a token."""
        name, default = token["name"], token["default"]
        if token[0] == "$${":
            return "${"
        if name is None:
            self.failed(path, token.string, index, "cannot read this `${`", FORMS)
        elif default is not None and "${" in default:
            self.failed(path, token.string, index, "a default holds no variable", FORMS)
        elif default is not None:
            return self.environ.get(name) or default
        elif name not in self.environ:
            hint = f"set it, or give a default: `${{{name}:-...}}`; a literal `${{` is written `$${{`"
            self.failed(path, token.string, index, f"the variable `{name}` is not set", hint)
        elif not sound(self.environ[name]):
            self.failed(path, token.string, index, f"the variable `{name}` holds no valid Unicode", None)
        else:
            return self.environ[name]
        return token[0]


FORMS = "write `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`"


def literal(text: str) -> str:
    """Spell a text so that it has no variables."""
    return text.replace("${", "$${")


def sound(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    return text.isascii() or text == text.encode(errors="replace").decode()
