"""`[listen.NAME]`: where clients connect, and how much one of them may take."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pylos.model.base import OneOrMany, Table, defaults_of, many, wrong
from pylos.model.secret import Secret
from pylos.model.units import BodySize, Duration, HeadSize, LineSize, Rate

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Limits(Table):
    """Bounds of one listener's clients."""

    line: LineSize = "16KiB"
    """The longest request line, and the longest single field line.

    A longer request line is answered with 414, a longer field with 431. Default: `"16KiB"`. Example: `line = "8KiB"`.
    """

    header: HeadSize = "64KiB"
    """The head of a request as a whole, and its trailers as a whole.

    A larger one is answered with 431. Default: `"64KiB"`. Example: `header = "32KiB"`.
    """

    fields: Annotated[int, Field(ge=1, le=10_000)] = 100
    """The number of fields in a head.

    More are answered with 431. Default: 100. Example: `fields = 200`.
    """

    connections: Count = 0
    """Open connections of the gateway at which this listener takes no more; 0 leaves it to the descriptors there are.

    One more is closed at once. Default: 0. Example: `connections = 20000`.
    """

    connections_per_address: Count = 10_000
    """Open connections from one client address; 0 is no bound.

    One more is closed at once. Default: 10000. Example: `connections_per_address = 100`.
    """

    handshakes: Count = 1000
    """TLS handshakes under way in one worker; 0 is no bound.

    One more is closed at once. Default: 1000. Example: `handshakes = 200`.
    """

    body_rate: Rate = "100B"
    """The least that a client must send of its body, in bytes a second on average; `"0B"` is no floor.

    It counts from the time of `body_idle` on; a slower request is answered with 408. Default: `"100B"`.
    Example: `body_rate = "1KiB"`.
    """

    body: BodySize = "0B"
    """The largest request body; `"0B"` is no bound.

    A larger one is answered with 413, before anything is forwarded when its length is told. Default: `"0B"`.
    Example: `body = "10MiB"`.
    """


class ListenTimeouts(Table):
    """How long one listener's clients are waited for."""

    handshake: Duration = "10s"
    """From a new connection to the end of its TLS handshake.

    Then the connection is closed. Default: `"10s"`. Example: `handshake = "5s"`.
    """

    header: Duration = "10s"
    """From the first byte of a request until its head is whole, however steadily it trickles.

    Then the answer is 408. Default: `"10s"`. Example: `header = "5s"`.
    """

    idle: Duration = "75s"
    """A connection without a request.

    Then it is closed. Default: `"75s"`. Example: `idle = "10m"`.
    """

    body_idle: Duration = "30s"
    """Between two pieces of a request's body.

    Then the answer is 408. Default: `"30s"`. Example: `body_idle = "2m"`.
    """

    send_idle: Duration = "30s"
    """A client that does not read its answer.

    Then the connection is cut. Default: `"30s"`. Example: `send_idle = "1m"`.
    """

    client_fin: Duration = "10s"
    """A client that has shut its sending side, without any progress of its answer.

    Then the request is given up. Default: `"10s"`. Example: `client_fin = "1m"`.
    """


def checked_mode(value: str) -> str:
    """Refuse what are no rights of a file."""
    if not MODE.fullmatch(value):
        raise wrong(
            "P104", "must be three octal digits, as chmod takes them", hint='for owner and group: mode = "0660"'
        )
    return value


MODE = re.compile(r"0?[0-7]{3}")


def checked_redirect(value: str) -> str:
    """Refuse what names no port of https."""
    found = REDIRECT.fullmatch(value)
    if not found or (found["port"] and not 0 < int(found["port"]) < 1 << 16):
        raise wrong("P104", "must be `https`, or `https:PORT`", hint='redirect = "https"')
    return value


REDIRECT = re.compile(r"https(?::(?P<port>[0-9]{1,5}))?")
USUAL_PORT = 443


class Listen(Table):
    """Where clients connect."""

    bind: OneOrMany
    """The address: `host:port`, `[address]:port` or `unix:/path`, or a list of them.

    Port 0 takes a free port. Required. Example: `bind = ["127.0.0.1:8080", "[::1]:8080"]`.
    """

    mode: Annotated[str, AfterValidator(checked_mode)] | None = None
    """The rights of the files of Unix sockets: who can write one can connect to it.

    They belong to the user and the group that Pylos runs as. Default: as the umask has it. Example: `mode = "0660"`.
    """

    tls: OneOrMany = Field(default_factory=list)
    """Makes clients speak TLS: a name or a list of names of `[tls.NAME]`, whose certificates are shown.

    Which of them is shown says the name that the client asks for (SNI, RFC 6066). Default: none, nothing is encrypted.
    Example: `tls = "shop"`.
    """

    sni: Annotated[str, Field(min_length=1)] | None = None
    """Who answers clients that ask for no name, or for one that no certificate here has: a name of `tls`, or
    `"strict"`, and then their handshakes are refused.

    Default: the only name of `tls`; with several it has to be said.
    Example: `{ sni = "shop", tls = ["shop", "blog"] }`.
    """

    protocols: Annotated[list[Literal["h1"]], Field(min_length=1)] = ["h1"]  # noqa: RUF012 - pydantic copies it
    """What is spoken: `"h1"`, HTTP/1.1 and 1.0.

    Default: `["h1"]`. Example: `protocols = ["h1"]`.
    """

    redirect: Annotated[str, AfterValidator(checked_redirect)] | None = None
    """Sends all requests to the same host, path and query by `https://`, with status 308; no route is reached here.

    `"https"` means the port of the listeners with `tls`, where they have one and the same, else 443;
    `"https:8443"` says the port that clients know. Default: absent, the routes are served.
    Example: `redirect = "https"`.
    """

    serve: Annotated[list[Literal["metrics", "health", "admin"]], Field(min_length=1)] | None = None
    """Makes this an admin listener: `"metrics"` answers `/metrics`, `"health"` answers `/livez` and `/readyz`.

    `"admin"` answers the [admin API](admin.md), all below `/api/v1`; without `admin_token` nothing can be changed by
    it. No route is reached through an admin listener. Default: absent, the routes are served.
    Example: `serve = ["metrics", "health"]`.
    """

    admin_token: Secret | None = None
    """What has to be shown for the admin API here, as `Authorization: Bearer`: 16 to 1,024 visible ASCII characters.

    Who shows it may change everything, with the rights of the gateway; who does not is refused. Default: absent,
    nobody is asked, and nothing can be changed. Example: `admin_token = { file = "/run/secrets/pylos-admin" }`.
    """

    use: list[str] = Field(default_factory=list)
    """Policies of every route that is reached through this listener, after those of `[pylos]`.

    Default: none. Example: `use = ["shield"]`.
    """

    limits: Limits = Field(default_factory=defaults_of(Limits))
    """How much one client may take. Default: that of each key. Example: `limits = { header = "32KiB" }`."""

    timeouts: ListenTimeouts = Field(default_factory=defaults_of(ListenTimeouts))
    """How long a client is waited for. Default: that of each key. Example: `timeouts = { idle = "10m" }`."""

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P203"]`.
    """

    @model_validator(mode="after")
    def name_the_default(self) -> Listen:
        """Refuse several names without a word about who is meant when none is asked for, and that word alone."""
        names = many(self.tls)
        if self.sni is None and len(set(names)) > 1:
            raise wrong(
                "P105",
                "several names, and no `sni` that says who answers clients that ask for none of theirs",
                hint=f'add `sni = "{names[0]}"`, or `sni = "strict"` to refuse them',
                keys=["tls", "sni"],
            )
        if self.sni is not None and not names:
            raise wrong("P108", "does nothing without `tls`", hint="add `tls`, or take `sni` out", keys=["sni", "tls"])
        return self

    @model_validator(mode="after")
    def redirect_alone(self) -> Listen:
        """Refuse a redirect by who serves already."""
        for key, why in (("tls", "clients speak https here already"), ("serve", "admin pages are served here")):
            if self.redirect is not None and getattr(self, key):
                raise wrong("P108", f"{why}, so there is nothing to redirect", hint=SPLIT, keys=["redirect", key])
        return self


SPLIT = "take `redirect` out, or give it to a listener of its own"
