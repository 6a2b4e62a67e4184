"""`[acme.NAME]`: an authority that gives certificates by itself (ACME, RFC 8555), and how it is asked."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from pylos.model.base import Table, wrong
from pylos.model.secret import Secret
from pylos.model.units import Duration, DurationOrZero

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LOCAL = "local"
"""What `acme` of a `[tls.NAME]` says for certificates of this machine's own, for development."""
FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
Text = Annotated[str, Field(min_length=1)]


def checked_url(url: str) -> str:
    """Refuse what is no directory's URL."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        hint = "an authority is asked by https, and its manual has the URL of its directory"
        raise wrong("P104", "must be a URL that begins with `https://`", hint=hint)
    return url


def checked_function(name: str) -> str:
    """Refuse what names no function."""
    if not FUNCTION.fullmatch(name):
        raise wrong("P104", "must be written `module:function`", hint='for example `call = "dns_records:change"`')
    return name


def host_and_port(server: str, usual: int = 53) -> tuple[str, int]:
    """Take `host`, `host:port`, `[address]:port` or an address apart. Raises ValueError for what is none of these."""
    if server.startswith("["):
        host, closed, port = server[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError("an address in brackets, and behind it maybe a port")
        return host, port_of(port[1:]) if port else usual
    host, colon, port = server.rpartition(":")
    if not colon or ":" in host:  # an address of IPv6 has several
        return server, usual
    return host, port_of(port)


def port_of(text: str) -> int:
    """Read a port. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 16):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def checked_server(server: str) -> str:
    """Refuse what is no name server."""
    try:
        host_and_port(server)
    except ValueError as error:
        raise wrong("P104", f"`{server}` is no name server: {error}") from None
    return server


Server = Annotated[str, Field(min_length=1), AfterValidator(checked_server)]
WAYS = ("update", "command", "call")
Url = Annotated[str, AfterValidator(checked_url)]


class ExternalAccount(Table):
    """An account that was made elsewhere, and that the one here is bound to (RFC 8555, 7.3.4)."""

    key_id: Text
    """The number by which the authority knows the account. Required. Example: `key_id = "kid-1"`."""

    key: Secret
    """The HMAC key that it gives with that, in base64url. Required. Example: `key = { file = "/run/secrets/eab" }`."""

    @model_validator(mode="after")
    def readable(self) -> ExternalAccount:
        """Refuse a key that is no base64url."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+=*", self.key.reveal()):
            hint = "take it as the authority gives it: letters, digits, `-` and `_`"
            raise wrong("P114", "the secret is no base64url", hint=hint, keys=["key"])
        return self


class DnsUpdate(Table):
    """Records made by dynamic updates (RFC 2136), signed with a key (TSIG, RFC 8945)."""

    server: Server
    """The name server that takes them, `host` or `host:port`; the usual port is 53. Required.

    Example: `server = "10.0.0.53"`.
    """

    zone: Text | None = None
    """The zone that is changed.

    Default: absent, the one that the name server has for the domain. Example: `zone = "example.com"`.
    """

    key_name: Text | None = None
    """The name of the key.

    Default: absent, updates are not signed. Example: `{ key_name = "gate", key = { env = "TSIG" } }`.
    """

    key: Secret | None = None
    """The key itself, in base64. Default: absent. Example: `{ key = { env = "TSIG" }, key_name = "gate" }`."""

    algorithm: Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1"] = "hmac-sha256"
    """How updates are signed. Default: `"hmac-sha256"`. Example: `algorithm = "hmac-sha512"`."""

    ttl: Duration = "60s"
    """How long others may remember the record. Default: `"60s"`. Example: `ttl = "30s"`."""

    @model_validator(mode="after")
    def whole(self) -> DnsUpdate:
        """Refuse half a key, and one that cannot be read."""
        if (self.key_name is None) is not (self.key is None):
            alone, other = ("key", "key_name") if self.key_name is None else ("key_name", "key")
            raise wrong("P108", f"does nothing without `{other}`", hint=f"add `{other}`", keys=[alone, other])
        if self.key is not None:
            try:
                base64.b64decode(self.key.reveal(), validate=True)
            except (binascii.Error, ValueError):
                hint = "take it as `tsig-keygen` writes it"
                raise wrong("P114", "the secret is no base64", hint=hint, keys=["key"]) from None
        return self


class Dns(Table):
    """How records for `dns-01` are made: by one of `update`, `command` and `call`."""

    update: DnsUpdate | None = None
    """By dynamic updates. Default: absent. Example: `update = { server = "10.0.0.53" }`."""

    command: Annotated[list[Text], Field(min_length=1)] | None = None
    """By a program, without a shell, that gets `add NAME VALUE` or `remove NAME VALUE` behind these arguments.

    Default: absent. Example: `command = ["/usr/local/bin/dns-record", "--zone", "example.com"]`.
    """

    call: Annotated[str, AfterValidator(checked_function)] | None = None
    """By a function of Python, `module:function`, that gets `"add"` or `"remove"`, the name and the value; it runs in a
    process of its own.

    Default: absent. Example: `call = "dns_records:change"`.
    """

    timeout: Duration = "2m"
    """How long `command` and `call` may take. Default: `"2m"`. Example: `timeout = "30s"`."""

    resolvers: list[Server] = Field(default_factory=list)
    """Who is asked whether the record can be seen, `ADDRESS` or `ADDRESS:PORT`.

    Default: none, the zone's own name servers are. Example: `resolvers = ["9.9.9.9"]`.
    """

    wait: DurationOrZero = "2m"
    """How long it may take until it is seen; with `"0s"` nobody looks. Default: `"2m"`. Example: `wait = "10m"`."""

    @model_validator(mode="after")
    def one_way(self) -> Dns:
        """Refuse several ways, and none."""
        ways = [key for key in WAYS if getattr(self, key) is not None]
        if not ways:
            raise wrong("P105", "no way to make records", hint="add one of `update`, `command` and `call`", keys=WAYS)
        if len(ways) > 1:
            hint = "take one of the two out: a record is made in one way"
            raise wrong("P108", f"cannot stand beside `{ways[0]}`", hint=hint, keys=ways[::-1])
        return self


class Acme(Table):
    """An authority that gives certificates by itself (ACME, RFC 8555), for each `[tls.NAME]` whose `acme` names it."""

    email: Text | None = None
    """Where the authority may write to. Default: absent. Example: `email = "ops@example.com"`."""

    directory: Url = LETS_ENCRYPT
    """The URL of its directory. Default: that of Let's Encrypt, `"https://acme-v02.api.letsencrypt.org/directory"`.

    Example: `directory = "https://acme-staging-v02.api.letsencrypt.org/directory"`.
    """

    eab: ExternalAccount | None = None
    """An account that was made elsewhere, which some authorities ask for.

    Default: absent. Example: `eab = { key_id = "kid-1", key = { file = "/run/secrets/eab" } }`.
    """

    fallback: list[str] = Field(default_factory=list)
    """Further `[acme.NAME]` that are asked in turn when this one fails.

    Of theirs `directory`, `email`, `eab`, `ca`, `profile`, `preferred_chain` and `staging` count; `challenges`, `dns`,
    `key_type` and `storage` are those here.

    Default: none. Example: `fallback = ["zerossl"]`.
    """

    challenges: Annotated[list[Literal["http-01", "tls-alpn-01", "dns-01"]], Field(min_length=1)] = [  # noqa: RUF012 - pydantic copies it
        "http-01",
        "tls-alpn-01",
    ]
    """How domains are proven to be ours: the first of these that the authority offers, and the next one when that
    fails.

    `"http-01"` needs port 80 of the domain to lead to a listener here without `tls`, `"tls-alpn-01"` port 443 to one
    with it, and `"dns-01"` `dns`; wildcards are proven by that alone. Default: `["http-01", "tls-alpn-01"]`.
    Example: `challenges = ["tls-alpn-01"]`.
    """

    dns: Dns | None = None
    """How records for `"dns-01"` are made.

    Default: absent. Example: `{ dns = { call = "dns_records:change" }, challenges = ["dns-01"] }`.
    """

    key_type: Literal["ecdsa", "rsa"] = "ecdsa"
    """The kind of the certificates' keys: ECDSA on P-256, or RSA of 2,048 bits.

    Default: `"ecdsa"`. Example: `key_type = "rsa"`.
    """

    profile: Text | None = None
    """Which of the authority's profiles is asked for.

    Default: absent, it chooses. Example: `profile = "shortlived"`.
    """

    preferred_chain: Text | None = None
    """The common name of an issuer: of several chains that are offered, the one that has it is taken.

    Default: absent, the authority's own. Example: `preferred_chain = "ISRG Root X1"`.
    """

    ca: Text | None = None
    """A file with the certificates of those who vouch for the directory's own https, besides those of the system.

    Default: absent. Example: `ca = "internal-ca.pem"`.
    """

    staging: Url | None = None
    """The URL of a directory that is tried first after a failure, so that trying again uses up no limits of the real
    one.

    Default: absent. Example: `staging = "https://acme-staging-v02.api.letsencrypt.org/directory"`.
    """

    storage: Text | None = None
    """The folder in which accounts, keys and certificates are kept. Several machines may share one: then one of them
    asks, and all have the certificate.

    Default: absent, `acme` in the state directory. Example: `storage = "/mnt/shared/pylos"`.
    """

    @model_validator(mode="after")
    def ways_fit(self) -> Acme:
        """Refuse a challenge that nobody can answer, and a way to do it that is never used."""
        if "dns-01" in self.challenges and self.dns is None:
            hint = "add `dns`, which says how records are made"
            raise wrong("P105", '`"dns-01"` without `dns`', hint=hint, keys=["dns", "challenges"])
        if self.dns is not None and "dns-01" not in self.challenges:
            hint = 'add `"dns-01"` to `challenges`, or take `dns` out'
            raise wrong(
                "P108", 'does nothing without `"dns-01"` in `challenges`', hint=hint, keys=["dns", "challenges"]
            )
        return self
