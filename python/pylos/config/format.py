"""The one way to lay out a document in TOML: blanks and line ends, never a word, an order or a comment.

One blank line before a table and its comment, at most one between keys; ` = ` and `, `; `{ a = 1 }` and `[1, 2]`. A
list that has line ends of its own has an entry a line. Strings, numbers and comments stay as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylos.config.parse import parsed_toml
from pylos.errors import PylosError

TOKEN = re.compile(
    r"(?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')"
    r"|(?P<comment>\#[^\r\n]*)|(?P<end>\r?\n)|(?P<blank>[ \t]+)|(?P<mark>[\[\]{}=,.])|(?P<bare>[^\s\[\]{}=,.\#\"']+)",
    re.DOTALL,
)
INDENT = "    "


def formatted(text: str, name: str) -> str:
    """Lay a document out; raises ConfigError (P101) where it is no TOML. Idempotent."""
    before = parsed_toml(text, name)[0]
    end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    lines = list(aligned(spaced(list(Reader(text).lines()))))
    result = "".join(line.written(end) + end for line in lines)
    if repr(parsed_toml(result, name)[0]) != repr(before):  # as text: a NaN equals nothing
        raise PylosError(f"{name} cannot be laid out: it would mean something else")
    return result


@dataclass(frozen=True)
class Line:
    """A blank line, a comment, a header, or a key with its value."""

    kind: str
    """One of blank, comment, header, key."""
    text: str = ""
    """With `\\0` for each line end that is not in a string."""
    comment: str = ""
    column: int = 0
    """Where its comment began."""
    gap: int = 2
    """Blanks before the comment."""

    def written(self, end: str) -> str:
        """Write the line."""
        text = self.text.replace(BREAK, end)
        return text + " " * (self.gap if text else 0) + self.comment if self.comment else text

    @property
    def width(self) -> int:
        """How long its last line is, without the comment."""
        return len(re.split(f"[{BREAK}\n]", self.text)[-1])


BREAK = "\0"
"""Stands for a line end. TOML has no such character."""


def spaced(lines: list[Line]) -> Iterator[Line]:
    """Set the blank lines."""
    before: Line | None = None
    for index, line in enumerate(lines):
        if line.kind == "blank":
            following = next((one for one in lines[index:] if one.kind != "blank"), None)
            if before is None or following is None or before.kind in ("blank", "header"):
                continue
        elif before is not None and before.kind != "blank" and belongs_to_header(lines, index, before):
            yield Line("blank")
        yield line
        before = line


def belongs_to_header(lines: list[Line], index: int, before: Line) -> bool:
    """Whether a header, or the comment right above one, begins here."""
    if before.kind == "comment" and lines[index].kind in ("comment", "header"):
        return False  # the blank line is above that comment
    following = next((line for line in lines[index:] if line.kind != "comment"), None)
    return following is not None and following.kind == "header"


def aligned(lines: Iterator[Line]) -> Iterator[Line]:
    """Set the blanks before comments: below each other where they stood below each other."""
    run: list[Line] = []
    for line in lines:
        if line.comment and line.text and (not run or run[-1].column == line.column):
            run.append(line)
            continue
        yield from aligned_run(run)
        run = [line] if line.comment and line.text else []
        if not run:
            yield line
    yield from aligned_run(run)


def aligned_run(run: list[Line]) -> Iterator[Line]:
    """Leave the comments of lines that follow each other in their column, or move all where there is no room."""
    at = max((max(line.width + 2, line.column - 1) for line in run), default=0)
    for line in run:
        yield Line(line.kind, line.text, line.comment, line.column, at - line.width)


class Reader:
    """Takes a sound text apart into its lines."""

    def __init__(self, text: str) -> None:
        self._tokens = list(TOKEN.finditer(text))
        self._text = text
        self._at = 0

    def lines(self) -> Iterator[Line]:
        """Give the lines, as they are to be written, without regard to each other."""
        while self.kind():
            self.skip("blank")
            kind = self.kind()
            if kind == "end":
                self._at += 1
                yield Line("blank")
            elif kind == "comment":
                yield self.closed("comment", "")
            elif self.word() == "[":
                yield self.closed("header", self.header())
            elif kind:
                yield self.closed("key", f"{self.key()} = {self.value('')}")

    def closed(self, kind: str, text: str) -> Line:
        """Read the rest of a line: its comment and its end."""
        self.skip("blank")
        comment, column = "", 0
        if self.kind() == "comment":
            column = self._tokens[self._at].start() - self._text.rfind("\n", 0, self._tokens[self._at].start())
            comment = self.take().rstrip()
        if self.kind() == "end":
            self._at += 1
        return Line(kind, text, comment, column)

    def kind(self) -> str | None:
        """Give the kind of the next token; None at the end."""
        return self._tokens[self._at].lastgroup if self._at < len(self._tokens) else None

    def word(self) -> str:
        """Give the text of the next token."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        """Give the next token and go on behind it."""
        self._at += 1
        return self._tokens[self._at - 1][0]

    def skip(self, *kinds: str) -> int:
        """Step over tokens of these kinds; give how many there were."""
        start = self._at
        while self.kind() in kinds:
            self._at += 1
        return self._at - start

    def header(self) -> str:
        """Read `[a.b]` or `[[a.b]]`."""
        parts = []
        while self.kind() not in ("end", "comment", None):
            if self.kind() != "blank":
                parts.append(self.word())
            self._at += 1
        return "".join(parts)

    def key(self) -> str:
        """Read a key up to and with its `=`."""
        parts = []
        while (word := self.take()) != "=":
            if word.strip():
                parts.append(word)
        self.skip("blank")
        return "".join(parts)

    def value(self, indent: str) -> str:
        """Read a value. Lines of its own are indented by `indent`."""
        if self.word() == "[":
            return self.series("]", "[", "]", indent)
        if self.word() == "{":
            return self.series("}", "{ ", " }", indent)
        parts = []
        while self.kind() in ("string", "bare") or self.word() == "." or self.is_inner_blank():
            parts.append(self.take())
        return "".join(parts)

    def is_inner_blank(self) -> bool:
        """Whether a blank stands within a value: between a date and its time."""
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        return self.kind() == "blank" and after is not None and after.lastgroup == "bare"

    def series(self, close: str, opening: str, closing: str, indent: str) -> str:
        """Read a list or an inline table."""
        self.take()
        inner = indent + INDENT
        entries: list[str] = []
        lines: list[str] = []
        """The same, an entry or comment a line."""
        broken = self.gap(lines, inner, fresh=True)
        while self.word() != close:
            entries.append(self.entry(close, inner))
            lines.append(f"{inner}{entries[-1]},")
            gone = self.gap(lines, inner, fresh=False)
            if self.word() == ",":
                self.take()
                gone |= self.gap(lines, inner, fresh=gone)
            broken |= gone
        self.take()
        if broken and lines:
            lines = lines[:-1] if not lines[-1] else lines
            return BREAK.join([opening.rstrip(), *lines, f"{indent}{closing.lstrip()}"])
        return f"{opening}{', '.join(entries)}{closing}" if entries else opening.rstrip() + closing.lstrip()

    def entry(self, close: str, indent: str) -> str:
        """Read an entry of a list or an inline table."""
        return f"{self.key()} = {self.value(indent)}" if close == "}" else self.value(indent)

    def gap(self, lines: list[str], indent: str, *, fresh: bool) -> bool:
        """Step over what stands between two entries, and note comments and blank lines; whether it has line ends.

        A comment belongs to the entry before it, unless it begins on a `fresh` line.
        """
        ends, broken = 0, False
        while kind := self.skipped_to_gap():
            if kind == "comment":
                comment = self.take().rstrip()
                if fresh:
                    lines.append(f"{indent}{comment}")
                else:
                    lines[-1] += f"  {comment}"
                ends = 0
                continue
            self.take()
            ends, fresh, broken = ends + 1, True, True
            if ends > 1 and lines and lines[-1]:
                lines.append("")
        return broken

    def skipped_to_gap(self) -> str | None:
        """Step over blanks; give the kind of the next token where it is a line end or a comment."""
        self.skip("blank")
        kind = self.kind()
        return kind if kind in ("end", "comment") else None
