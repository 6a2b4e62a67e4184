"""What is told about one code, and the page that is made of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pylos.errors import Severity

LISTEN = '[listen.http]\nbind = "127.0.0.1:8080"\n'
WEB = '\n[upstream.web]\ntargets = ["10.0.0.1:8000"]\n'
SITE = '\n[route.site]\nmatch = "/{rest:path}"\nrespond = { text = "hello" }\n'


LANGUAGES = {"py": "python", "json": "json", "toml": "toml", "": "text"}
"""How a file is shown, by what its name ends in."""


@dataclass(frozen=True)
class Made:
    """A certificate for NAME.example.com and its key, NAME.pem and NAME.key: made by who tries an example."""

    name: str
    days: int = 90
    """So long it still holds; fewer than none: since when it does not."""

    @property
    def told(self) -> str:
        """Say what they are."""
        holds = f"still holds for {self.days} days" if self.days > 0 else f"expired {-self.days} days ago"
        return (
            f"`{self.name}.pem` is a certificate for `{self.name}.example.com` that {holds}, `{self.name}.key` its key."
        )


@dataclass(frozen=True)
class Example:
    """A document, for showing and for running."""

    text: str
    name: str = "gateway.toml"
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files beside it, by name."""
    made: tuple[Made, ...] = ()
    """Certificates beside it."""
    beside: tuple[str, ...] = ()
    """Other codes that this version cannot but tell too."""

    def blocks(self, mark: str) -> Iterator[str]:
        """Write the files as fenced blocks."""
        several = bool(self.files or self.made)
        for name, text in {self.name: self.text, **self.files}.items():
            language = LANGUAGES[name.rpartition(".")[2] if "." in name else ""]
            marks = "part" if several else mark if language == "toml" else ""
            title = f"`{name}`:\n\n" if several or language != "toml" else ""
            yield f"{title}```{f'{language} {marks}'.rstrip()}\n{text}```\n"
        yield from (f"{made.told}\n" for made in self.made)


@dataclass(frozen=True)
class Manual:
    """One code."""

    code: str
    title: str
    meaning: str
    remedy: str
    wrong: Example | None = None
    right: Example | None = None
    severity: Severity = "error"

    def page(self) -> str:
        """Write the page, in Markdown."""
        effect = {
            "error": "Error: the document is not used.",
            "warning": "Warning: the document is used all the same; `silence` in the table that it is about ends it.",
        }
        parts = [f"# {self.code}: {self.title}\n", f"{effect[self.severity]}\n", wrapped(self.meaning)]
        if self.wrong:
            marks = " ".join(["wrong", self.code, *self.wrong.beside])
            parts += ["## Wrong\n", *self.wrong.blocks(marks)]
        if self.right:
            parts += ["## Right\n", *self.right.blocks("")]
        return "\n".join([*parts, "## What to do\n", wrapped(self.remedy)])


def wrapped(paragraph: str) -> str:
    """Break a paragraph into lines."""
    return textwrap.fill(paragraph, 110, break_long_words=False, break_on_hyphens=False) + "\n"
