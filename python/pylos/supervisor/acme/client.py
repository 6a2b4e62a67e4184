"""The protocol with one authority (RFC 8555): account, order, authorizations, challenges, certificate.

Each exchange runs in a thread; all waiting is done by the event loop, so that it ends when it is given up. Errors are
AuthorityErrors, which say who, about what, and what to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from acme import errors as library
from acme import messages
from cryptography import x509
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field
from requests.utils import parse_header_links

from pylos.config.x509 import key_text
from pylos.supervisor.acme import network as line
from pylos.supervisor.acme.certificate import issuers
from pylos.supervisor.acme.domains import address_of
from pylos.supervisor.acme.errors import MOST_TOLD, AuthorityError, Fault, Problem, shown
from pylos.supervisor.acme.hints import hint_for
from pylos.supervisor.acme.keys import new_key
from pylos.supervisor.acme.network import Network, Response
from pylos.supervisor.acme.records import AccountRecord
from pylos.supervisor.acme.settings import Authority
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.wire import (
    AuthorizationBody,
    ChallengeBody,
    DirectoryBody,
    OrderBody,
    RenewalInfoBody,
    retry_after,
)

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
PATIENCE = 300.0
"""Seconds for an authorization or an order to be settled."""
FIRST_LOOK, LAST_LOOK = 0.25, 15.0
"""Seconds between looks; Retry-After may ask for more, up to a minute."""
LONGEST_LOOK = 60.0
OF_REPLACES = {"alreadyReplaced", "malformed", "unauthorized", "serverInternal"}
ACCOUNT_POLL = 0.3
"""Seconds between looks while another machine makes the key of an account."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order, and where it is."""

    url: str
    body: OrderBody


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When an authority wants a certificate to be renewed, in seconds since 1970, and when to ask it again."""

    start: float
    end: float
    retry_after: float | None
    explanation: str | None


class _NewOrder(messages.NewOrder):
    """An order that says which certificate it follows (RFC 9773 section 5)."""

    replaces: str | None = field("replaces", omitempty=True)


class _Ready(JSONDeSerializable):
    """`{}`: a challenge may be looked at (RFC 8555 section 7.5.1)."""

    def to_partial_json(self) -> dict[str, str]:
        return {}

    @classmethod
    def from_json(cls, jobj: object) -> _Ready:
        del jobj
        return cls()


class Client:
    """An account at an authority. Made by `open`."""

    def __init__(self, authority: Authority, url: str, storage: Storage, threads: Threads, sleep: Sleep) -> None:
        self.authority = authority
        self.url = url
        """Of the directory: that of the authority, or its staging one."""
        self._storage = storage
        self._threads = threads
        self._sleep = sleep
        self._network: Network
        self._turn = asyncio.Lock()
        """The line is for one at a time: its nonces, and what it knows of the last answer."""
        self._directory: DirectoryBody

    @classmethod
    async def open(  # noqa: PLR0913, the last ones have defaults
        cls,
        authority: Authority,
        storage: Storage,
        threads: Threads,
        *,
        url: str | None = None,
        registers: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> Client:
        """Read the directory, and be somebody there, registered before or now; not where nothing will be signed."""
        client = cls(authority, url or authority.directory, storage, threads, sleep)
        record = await client._account()
        # In a thread: it reads all certificates that the system trusts.
        client._network = await threads.run(Network, record.key, authority.ca)
        response = await client._call("directory", None, client._network.get, client.url)
        client._directory = client._read(DirectoryBody, response, "directory", None)
        client._check_meta()
        if registers and (record.url is None or record.email != authority.email):
            record = await client._register(record)
        client._network.be(record.url)
        return client

    def key_authorization(self, token: str) -> str:
        """Give what proves that we asked (RFC 8555 section 8.1)."""
        return f"{token}.{self._network.thumbprint}"

    async def order(self, name: str, domains: Iterable[str], replaces: str | None = None) -> Order:
        """Ask for a certificate; `replaces` is the renewal id of the one that it follows."""
        try:
            return await self._order(name, domains, replaces)
        except AuthorityError as error:
            if _code(error) != "accountDoesNotExist":
                raise
        # An authority may forget accounts. The key is kept: it may have been one of its machines only.
        record = await self._account()
        self._network.be((await self._register(record)).url)
        return await self._order(name, domains, replaces)

    async def _order(self, name: str, domains: Iterable[str], replaces: str | None) -> Order:
        identifiers = [_identifier(domain) for domain in domains]
        # A renewal id means something to the authority that made it, and only where it knows them.
        replaces = replaces if self._directory.renewal_info is not None else None
        profile = self.authority.profile or ""
        body = _NewOrder(identifiers=identifiers, profile=profile, replaces=replaces)
        try:
            response = await self._post("order", name, self._directory.new_order, body)
        except AuthorityError as error:
            # Another order has replaced it (409, RFC 9773 section 5), or it is not known any more: that is no reason
            # to go without a certificate.
            if replaces is None or not (isinstance(error, _ConflictError) or _code(error) in OF_REPLACES):
                raise
            body = _NewOrder(identifiers=identifiers, profile=profile)
            response = await self._post("order", name, self._directory.new_order, body)
        return Order(self._location(response, "order", name), self._read(OrderBody, response, "order", name))

    async def authorization(self, name: str, url: str) -> AuthorizationBody:
        """Look at an authorization."""
        response = await self._post("authorization", name, url, None)
        return self._read(AuthorizationBody, response, "authorization", name)

    async def ready(self, domain: str, challenge: ChallengeBody) -> None:
        """Let the authority look at our answer."""
        await self._post(f"{challenge.type} challenge", domain, challenge.url, _Ready())

    async def settled(self, domain: str, url: str) -> AuthorizationBody:
        """Wait until an authorization is no longer pending."""

        async def look() -> tuple[AuthorizationBody, Response]:
            response = await self._post("authorization", domain, url, None)
            return self._read(AuthorizationBody, response, "authorization", domain), response

        return await self._watch("authorization", domain, look, lambda body: body.status != "pending")

    async def finalize(self, name: str, order: Order, csr: x509.CertificateSigningRequest) -> str:
        """Give the request for a proven order, and get the chain (PEM)."""

        async def look() -> tuple[OrderBody, Response]:
            response = await self._post("order", name, order.url, None)
            return self._read(OrderBody, response, "order", name), response

        body = await self._watch("order", name, look, lambda body: body.status != "pending")
        if body.status == "ready":
            await self._post("certificate", name, body.finalize, messages.CertificateRequest(csr=csr))
            body = await self._watch("certificate", name, look, lambda body: body.status not in {"ready", "processing"})
        if body.status != "valid" or body.certificate is None:
            problem = None if body.error is None else body.error.problem
            hint = None if problem is None else hint_for(problem)
            raise AuthorityError(Fault("did not fulfil the order", self.url, name, problem, hint))
        return await self._download(name, body.certificate)

    async def renewal_window(self, renewal_id: str, name: str) -> RenewalWindow | None:
        """Ask when a certificate is to be renewed; None where the authority says nothing of that."""
        base = self._directory.renewal_info
        if base is None:
            return None
        url = f"{base.rstrip('/')}/{renewal_id}"
        response = await self._call("renewal window", name, self._network.get, url)
        body = self._read(RenewalInfoBody, response, "renewal window", name)
        window, wait = body.suggested_window, retry_after(response.headers.get("Retry-After"), time.time())
        return RenewalWindow(window.start.timestamp(), window.end.timestamp(), wait, body.explanation)

    async def _download(self, name: str, url: str) -> str:
        """Get a chain; of several (RFC 8555 section 7.4.2), the one with the issuer that is preferred."""

        async def look() -> tuple[str, Response]:
            response = await self._post("certificate", name, url, None)
            return response.text, response

        response = (await self._patiently("certificate", name, look, lambda _: True))[1]
        wanted, chain = self.authority.preferred_chain, response.text
        if wanted is None or wanted in self._issuers(chain, name):
            return chain
        for other in _alternates(response):
            with suppress(AuthorityError):  # without it, there is a certificate all the same
                found = (await self._post("certificate", name, other, None)).text
                if wanted in self._issuers(found, name):
                    return found
        return chain

    def _issuers(self, chain: str, name: str) -> list[str]:
        try:
            return issuers(chain)
        except ValueError as error:
            raise line.explained(error, self._network, self.url, "certificate", name) from None

    async def _watch(
        self, what: str, name: str, look: Callable[[], Awaitable[tuple[T, Response]]], is_over: Callable[[T], bool]
    ) -> T:
        """Look until something is settled; gives what it has become."""
        return (await self._patiently(what, name, look, is_over))[0]

    async def _patiently(
        self, what: str, name: str, look: Callable[[], Awaitable[tuple[T, Response]]], is_over: Callable[[T], bool]
    ) -> tuple[T, Response]:
        """Look again and again, as often as the authority wants; that it is not reached for a while does not end it."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE, FIRST_LOOK
        late = AuthorityError(Fault(f"did not settle the {what} in {PATIENCE:.0f} s", self.url, name, reached=False))
        while True:
            try:
                body, response = await look()
            except AuthorityError as error:
                if error.fault.reached:
                    raise
                late, wanted = error, error.fault.retry_after
            else:
                if is_over(body):
                    return body, response
                wanted = retry_after(response.headers.get("Retry-After"), time.time())
            wait = pause if wanted is None else min(max(wanted, FIRST_LOOK), LONGEST_LOOK)
            if loop.time() + wait > deadline:
                raise late
            await self._sleep(wait)
            pause = min(pause * 2, LAST_LOOK)

    async def _account(self) -> AccountRecord:
        """Give the account that is stored; or a new key, stored before anybody hears of it."""
        run, storage = self._threads.run, self._storage
        if (found := await run(storage.account, self.url, self._key_id)) is not None:
            return found
        lock = f"account {self.url} {self._key_id}"
        while (held := await run(storage.locks.take, lock)) is None:
            await self._sleep(ACCOUNT_POLL)
        try:
            # Another machine may have been faster: then its key is the one.
            if (found := await run(storage.account, self.url, self._key_id)) is not None:
                return found
            record = AccountRecord(directory=self.url, key=key_text(new_key("ecdsa")), email=self.authority.email)
            await run(storage.keep_account, record, self._key_id)
            return record
        finally:
            await asyncio.shield(run(held.release))

    @property
    def _key_id(self) -> str | None:
        return None if self.authority.eab is None else self.authority.eab.key_id

    def _check_meta(self) -> None:
        """See at once what a later refusal would only hint at."""
        meta, authority = self._directory.meta, self.authority
        if meta.external_account_required and authority.eab is None:
            hint = hint_for(_problem_of("externalAccountRequired"))
            raise AuthorityError(Fault("gives certificates to accounts of its own only", self.url, hint=hint))
        if authority.profile is not None and authority.profile not in meta.profiles:
            known = ", ".join(sorted(map(shown, meta.profiles))[:MOST_TOLD]) or "none"
            raise AuthorityError(Fault(f"has no profile {authority.profile!r}", self.url, hint=f"it has: {known}"))

    async def _register(self, record: AccountRecord) -> AccountRecord:
        """Register the key, or find the account that it has (section 7.3.1); agree to the terms; tell the address."""
        authority, directory = self.authority, self._directory
        binding = None
        if authority.eab is not None:
            binding = messages.ExternalAccountBinding.from_data(
                self._network.public,
                authority.eab.key_id,
                authority.eab.hmac_key,
                messages.Directory({"newAccount": directory.new_account}),
            )
        contact = () if authority.email is None else (f"mailto:{authority.email}",)
        self._network.be(None)
        new = messages.NewRegistration(contact=contact, terms_of_service_agreed=True, external_account_binding=binding)
        response = await self._post("account", authority.email, directory.new_account, new)
        url = self._location(response, "account", authority.email)
        self._network.be(url)
        if response.status_code == 200 and record.email != authority.email:
            await self._post("account", authority.email, url, messages.UpdateRegistration(contact=contact))
        record = AccountRecord(directory=self.url, key=record.key, url=url, email=authority.email)
        await self._threads.run(self._storage.keep_account, record, self._key_id)
        return record

    async def _post(self, what: str, name: str | None, url: str, body: JSONDeSerializable | None) -> Response:
        """Send something signed; nothing is a look (POST-as-GET, section 6.3)."""
        return await self._call(what, name, self._network.post, url, body, new_nonce_url=self._directory.new_nonce)

    async def _call(
        self, what: str, name: str | None, function: Callable[..., Response], *args: object, **kw: object
    ) -> Response:
        async with self._turn:
            try:
                return await self._threads.run(function, *args, **kw)
            except library.ConflictError as error:
                raise _ConflictError(Fault(f"has another {what} already", self.url, name)) from error
            except Exception as error:
                raise line.explained(error, self._network, self.url, what, name) from error

    def _read(self, kind: type[line.T], response: Response, what: str, name: str | None) -> line.T:
        try:
            return line.read(kind, response)
        except ValueError as error:
            raise line.explained(error, self._network, self.url, what, name) from None

    def _location(self, response: Response, what: str, name: str | None) -> str:
        if (url := response.headers.get("Location")) is not None:
            return url
        raise AuthorityError(Fault(f"did not say where the {what} is", self.url, name, reached=False))


class _ConflictError(AuthorityError):
    """Status 409."""


def _code(error: AuthorityError) -> str | None:
    return None if error.fault.problem is None else error.fault.problem.code


def _problem_of(code: str) -> Problem:
    return Problem(f"urn:ietf:params:acme:error:{code}")


def _identifier(domain: str) -> messages.Identifier:
    kind = messages.IDENTIFIER_FQDN if address_of(domain) is None else messages.IDENTIFIER_IP
    return messages.Identifier(typ=kind, value=domain)


def _alternates(response: Response) -> list[str]:
    """List the links to other chains. The library's own look-up keeps one link of a kind only."""
    links = parse_header_links(response.headers.get("Link", ""))
    return [link["url"] for link in links if link.get("rel") == "alternate" and "url" in link]
