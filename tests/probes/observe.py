"""What happened: the requests an upstream recorded and the answers a client got.

Both readers are written for this table alone. They take the bytes as a strict peer would and note
as a flaw whatever a proxy must never emit, so that no probe has to ask for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: what must never stand in a value; other control bytes are invalid too but harmless to a reader of lines
VALUE = re.compile(rb"[^\x00\r\n]*")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?")


@dataclass
class Message:
    """A request or an answer, as far as it arrived."""

    line: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False
    flaws: list[str] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, in order (names are given in lower case)."""
        return [value for key, value in self.fields if key.lower() == name]


@dataclass
class Request(Message):
    """What the upstream got."""

    method: bytes = b""
    target: bytes = b""


@dataclass
class Answer(Message):
    """What the client got; `interim` holds the 1xx answers before it."""

    status: int = 0
    minor: int = 1
    interim: list[Answer] = field(default_factory=list)
    #: bytes after a 101
    tunnel: bytes = b""


@dataclass
class Observed:
    """All there is to judge a probe by."""

    raw: bytes
    closed: bool
    answers: list[Answer]
    #: bytes that are no part of any answer
    rest: bytes
    requests: list[Request]

    @property
    def probed(self) -> list[Request]:
        """The requests that came out of the probe itself."""
        return [request for request in self.requests if request.target != b"/next"]


def read_fields(lines: list[bytes], flaws: list[str]) -> list[tuple[bytes, bytes]]:
    """Field lines to pairs; anything but `token: value` is a flaw."""
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            flaws.append(f"bad field line {line[:60]!r}")
            continue
        if not VALUE.fullmatch(value):
            flaws.append(f"line end or NUL in {line[:60]!r}")
        fields.append((name, value.strip(b" \t")))
    return fields


def framing(message: Message) -> tuple[str, int]:
    """('length', n), ('chunked', 0) or ('none', 0); what is ambiguous is a flaw."""
    lengths, codings = message.values(b"content-length"), message.values(b"transfer-encoding")
    if lengths and codings:
        message.flaws.append("both Content-Length and Transfer-Encoding")
    if len(lengths) > 1 or any(not re.fullmatch(rb"[0-9]+", length) for length in lengths):
        message.flaws.append(f"bad Content-Length {lengths!r}")
        return ("none", 0)
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            message.flaws.append(f"bad Transfer-Encoding {codings!r}")
            return ("none", 0)
        return ("chunked", 0)
    return ("length", int(lengths[0])) if lengths else ("none", 0)


@dataclass
class Chunks:
    """Reads a chunked body; `done` when its last line has been seen."""

    message: Message
    done: bool = False

    def take(self, data: bytes) -> bytes:
        """Consume what is whole, return the rest."""
        while not self.done:
            line, end, rest = data.partition(b"\r\n")
            if not end:
                return data
            match = CHUNK_LINE.fullmatch(line)
            if match is None:
                self.message.flaws.append(f"bad chunk line {line[:40]!r}")
                return b""
            size = int(match[1], 16)
            if size == 0:
                return self._trailers(data, rest)
            if len(rest) < size + 2:
                return data
            if rest[size : size + 2] != b"\r\n":
                self.message.flaws.append("chunk data without its CRLF")
            self.message.body += rest[:size]
            data = rest[size + 2 :]
        return data

    def _trailers(self, data: bytes, rest: bytes) -> bytes:
        if rest.startswith(b"\r\n"):
            self.done = True
            return rest[2:]
        section, end, rest = rest.partition(b"\r\n\r\n")
        if not end:
            return data
        self.message.trailers = read_fields(section.split(b"\r\n"), self.message.flaws)
        self.done = True
        return rest


def read_answers(raw: bytes, *, closed: bool, first_is_head: bool) -> tuple[list[Answer], bytes]:
    """Split what a client received into answers and the bytes that are none."""
    answers: list[Answer] = []
    interim: list[Answer] = []
    while raw:
        head, end, rest = raw.partition(b"\r\n\r\n")
        match = STATUS_LINE.fullmatch(head.split(b"\r\n")[0])
        if not end or match is None:
            return answers, raw
        answer = _answer(head, match)
        if 100 <= answer.status < 200 and answer.status != 101:
            interim.append(answer)
            answer.complete = True
            raw = rest
            continue
        answer.interim, interim = interim, []
        answers.append(answer)
        raw = _body(answer, rest, closed=closed, bodiless=first_is_head and len(answers) == 1)
    return answers, raw


def _answer(head: bytes, match: re.Match[bytes]) -> Answer:
    lines = head.split(b"\r\n")
    answer = Answer(line=lines[0], status=int(match[2]), minor=int(match[1]))
    answer.fields = read_fields(lines[1:], answer.flaws)
    return answer


def _body(answer: Answer, data: bytes, *, closed: bool, bodiless: bool) -> bytes:
    """Fill in the body, return what follows it."""
    if answer.status == 101:
        answer.tunnel, answer.complete = data, True
        return b""
    if bodiless or answer.status in {204, 304}:
        answer.complete = True
        return data
    kind, length = framing(answer)
    if kind == "chunked":
        chunks = Chunks(answer)
        rest = chunks.take(data)
        answer.complete = chunks.done
        return rest if chunks.done else b""
    if kind == "length":
        answer.body, answer.complete = data[:length], len(data) >= length
        return data[length:]
    answer.body, answer.complete = data, closed
    return b""
