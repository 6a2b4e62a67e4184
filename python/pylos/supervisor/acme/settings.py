"""What is wanted, and of whom: certificates, authorities, challenges. Nothing in here can be wrong once it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pylos.model.domain import is_wildcard
from pylos.supervisor.acme.domains import address_of, normal
from pylos.supervisor.acme.errors import SettingsError

ChallengeType = Literal["http-01", "tls-alpn-01", "dns-01"]
KeyType = Literal["ecdsa", "rsa"]
CHALLENGES: tuple[ChallengeType, ...] = ("http-01", "tls-alpn-01", "dns-01")
LOCAL = "local"
"""In place of a directory's URL: the authority for development that this machine is itself."""
TSIG_ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1")
MODULE_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """An account that was made elsewhere (external account binding, RFC 8555 section 7.3.4)."""

    key_id: str
    hmac_key: str = field(repr=False)
    """base64url, as authorities give it."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+=*", self.hmac_key):
            raise SettingsError(f"the HMAC key of the external account {self.key_id!r} is not base64url")


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that gives certificates, and who we are there."""

    name: str
    directory: str
    """The URL of its directory (RFC 8555 section 7.1.1), or "local"."""
    email: str | None = None
    eab: ExternalAccount | None = None
    ca: Path | None = None
    """A file of certificates (PEM) that the directory's own TLS is trusted by, besides those of the system."""
    profile: str | None = None
    """Which of its profiles; None leaves that to the authority."""
    preferred_chain: str | None = None
    """The common name of an issuer: of several chains that are offered, the one that has it."""
    staging: str | None = None
    """The URL of a directory to try at first after a failure: retries then do not use up the limits of the real one."""

    def __post_init__(self) -> None:
        for url in (self.directory, self.staging):
            if url not in (None, LOCAL):
                _check_url(self.name, str(url))

    @property
    def is_local(self) -> bool:
        """Whether it is the one for development."""
        return self.directory == LOCAL


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise SettingsError(f"authority {name!r}: {url!r} is no https:// URL of a directory (RFC 8555 section 6.1)")


@dataclass(frozen=True, slots=True)
class DnsUpdate:
    """Dynamic updates (RFC 2136), signed with a key (RFC 8945)."""

    server: str
    """An address, or a name."""
    port: int = 53
    zone: str | None = None
    """None: the zone is asked for."""
    key_name: str | None = None
    key_secret: str | None = field(default=None, repr=False)
    """base64."""
    key_algorithm: str = "hmac-sha256"
    ttl: int = 60
    """Seconds."""

    def __post_init__(self) -> None:
        if (self.key_name is None) is not (self.key_secret is None):
            raise SettingsError(f"the key for updates at {self.server} needs both its name and its secret")
        if self.key_algorithm not in TSIG_ALGORITHMS:
            known = ", ".join(TSIG_ALGORITHMS)
            raise SettingsError(f"{self.key_algorithm!r} is no algorithm of a key for updates; there are {known}")


@dataclass(frozen=True, slots=True)
class DnsCommand:
    """A program that is run with `add|remove NAME VALUE` behind its own arguments.

    It has the rights of the supervisor, root's too where that has them: who wrote the configuration chose it, and what
    it needs (a key of the name server) is often readable by nobody else. `user` in the configuration takes them away.
    """

    argv: tuple[str, ...]
    timeout: float = 120.0
    """Seconds after which it is killed, with all that it has started."""

    def __post_init__(self) -> None:
        if not self.argv:
            raise SettingsError("the command for dns-01 is empty")


@dataclass(frozen=True, slots=True)
class DnsFunction:
    """A Python function, called with ("add" or "remove", NAME, VALUE) in a process of its own; it may be async.

    It runs without the rights of root, as all code of users does.
    """

    where: str
    """`module:function`."""
    timeout: float = 120.0
    folder: Path | None = None
    """Where the module is, unless it is installed: that of the configuration. None: the working directory."""

    def __post_init__(self) -> None:
        if not MODULE_FUNCTION.fullmatch(self.where):
            raise SettingsError(f"{self.where!r} does not name a function as `module:function`")


@dataclass(frozen=True, slots=True)
class Dns:
    """How records for dns-01 are made, and how long until they are seen."""

    by: DnsUpdate | DnsCommand | DnsFunction
    resolvers: tuple[str, ...] = ()
    """`ADDRESS` or `ADDRESS:PORT`, asked whether the record is there; none: the zone's own servers are."""
    patience: float = 120.0
    """Seconds until a record must be seen. 0: nobody looks."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate that is to be there, and valid, all the time."""

    name: str
    """By which it is asked for and stored."""
    domains: tuple[str, ...]
    """Domains, wildcards and addresses; kept in their one spelling, each once."""
    authorities: tuple[Authority, ...]
    """In turn: when the first one fails, the next one is asked."""
    key_type: KeyType = "ecdsa"
    challenges: tuple[ChallengeType, ...] = ("http-01", "tls-alpn-01")
    """In turn, as far as the authority offers them."""
    dns: Dns | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", tuple(dict.fromkeys(normal(domain) for domain in self.domains)))
        if not self.name or not self.domains or not self.authorities or not self.challenges:
            raise SettingsError(f"certificate {self.name!r} needs a name, domains, authorities and challenges")
        if unknown := [challenge for challenge in self.challenges if challenge not in CHALLENGES]:
            raise SettingsError(f"certificate {self.name!r}: no challenges are {', '.join(unknown)}")
        if all(authority.is_local for authority in self.authorities):
            return
        if "dns-01" in self.challenges and self.dns is None:
            raise SettingsError(f"certificate {self.name!r}: dns-01 needs to know how to make records (`dns`)")
        for domain in self.domains:
            if not self.challenges_for(domain):
                raise SettingsError(_impossible(self.name, domain))

    def challenges_for(self, domain: str) -> tuple[ChallengeType, ...]:
        """Give those that can prove a domain: wildcards by dns-01 alone, addresses never by it (RFC 8738 section 7)."""
        if is_wildcard(domain):
            return tuple(challenge for challenge in self.challenges if challenge == "dns-01")
        if address_of(domain) is not None:
            return tuple(challenge for challenge in self.challenges if challenge != "dns-01")
        return self.challenges


def _impossible(name: str, domain: str) -> str:
    if is_wildcard(domain):
        return f"certificate {name!r}: {domain} is a wildcard, proven by dns-01 alone: add it, and `dns`"
    return f"certificate {name!r}: {domain} is an address, proven by http-01 or tls-alpn-01"
