"""The way from what is wanted to a certificate of one authority."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pylos.config.x509 import key_text
from pylos.supervisor.acme.background import Background
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.client import Client, Order, Sleep
from pylos.supervisor.acme.domains import needed, normal, server_name
from pylos.supervisor.acme.errors import (
    MOST_TOLD,
    AcmeError,
    AuthorityError,
    ChallengeError,
    Fault,
    SettingsError,
    StorageError,
    shown,
)
from pylos.supervisor.acme.hints import hint_for
from pylos.supervisor.acme.keys import new_key, request
from pylos.supervisor.acme.settings import Authority, ChallengeType, Wanted
from pylos.supervisor.acme.solver import Proof, Solver
from pylos.supervisor.acme.storage import Storage
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.tls_alpn_01 import Turns
from pylos.supervisor.acme.wire import AuthorizationBody, ChallengeBody

Solvers = Mapping[ChallengeType, Solver]
Tell = Callable[[str], None]
CLEAN_UP = 60.0
"""Seconds that cleaning up may take."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A domain that is to be proven, and how."""

    url: str
    domain: str
    challenge: ChallengeBody
    proof: Proof


@dataclass(frozen=True, slots=True)
class Issuer:
    """Gets certificates with these means."""

    storage: Storage
    threads: Threads
    solvers: Solvers
    tell: Tell = lambda _: None
    """Told what did not work and is tried in another way."""
    sleep: Sleep = asyncio.sleep
    seen: float = 0.0
    """Seconds until all gateway processes of all machines give an answer that was stored."""
    background: Background = field(default_factory=Background)
    turns: Turns = field(default_factory=Turns)

    async def issue(
        self, wanted: Wanted, authority: Authority, *, url: str | None = None, replaces: str | None = None
    ) -> Certificate:
        """Get a certificate; `url` is another directory of the authority, the staging one. Raises AcmeError.

        A challenge that fails is followed by the next type, in a new order: a failed authorization stays failed.
        """
        client = await Client.open(authority, self.storage, self.threads, url=url, sleep=self.sleep)
        failed: set[tuple[str, str]] = set()
        causes: list[ChallengeError] = []
        while True:
            order = await client.order(wanted.name, needed(wanted.domains), replaces)
            try:
                await self._prove(client, wanted, order, failed)
            except _FailedError as error:
                causes.append(error.cause)
                failed |= error.tried
                if not self._are_left(wanted, failed):
                    raise _together(causes) from None
                self.tell(f"{error.cause}\n      = another type of challenge is tried")
            except ChallengeError as error:
                # None that is left is offered; why others failed is what counts.
                raise _together(causes or [error]) from None
            else:
                return await self._fulfil(client, wanted, order)

    def _are_left(self, wanted: Wanted, failed: set[tuple[str, str]]) -> bool:
        """Whether each domain whose challenge failed can be proven in another way."""
        return all(
            any(kind in self.solvers and (domain, kind) not in failed for kind in wanted.challenges_for(domain))
            for domain in {domain for domain, _ in failed}
        )

    async def _prove(self, client: Client, wanted: Wanted, order: Order, failed: set[tuple[str, str]]) -> None:
        """Prove all domains of an order that are not proven yet. Raises _FailedError, AcmeError."""
        tasks = []
        urls = dict.fromkeys(order.body.authorizations)
        if len(urls) > len(wanted.domains):
            raise AuthorityError(
                Fault(f"wants {len(urls)} proofs for {len(wanted.domains)} domains", client.url, wanted.name)
            )
        for url in urls:
            body = await client.authorization(wanted.name, url)
            if body.status != "valid":
                tasks.append(self._task(client, wanted, url, body, failed))
        names = {server_name(task.domain) for task in tasks if task.proof.type == "tls-alpn-01"}
        turns = await self.turns.take(names)
        is_over = False
        try:
            await self._answer(client, tasks)
            is_over = True
        except Exception:
            is_over = True
            raise
        finally:
            cleaned = self.background.start(self._clean(tasks, turns))
            if is_over:  # else it was given up, and who did that does not wait
                await asyncio.shield(cleaned)

    async def _answer(self, client: Client, tasks: list[_Task]) -> None:
        await _all(self._present(task, client) for task in tasks)
        if any(task.proof.type != "dns-01" for task in tasks):
            await self.sleep(self.seen)
        await _all(self._settle(task, client) for task in tasks)

    def _task(
        self, client: Client, wanted: Wanted, url: str, body: AuthorizationBody, failed: set[tuple[str, str]]
    ) -> _Task:
        """Choose the first type of challenge that is offered, possible, and has not failed."""
        domain = _ordered(client, wanted, body)
        offered = {challenge.type: challenge for challenge in body.challenges if challenge.token is not None}
        for kind in wanted.challenges_for(domain):
            challenge = offered.get(kind)
            if challenge is None or challenge.token is None or kind not in self.solvers or (domain, kind) in failed:
                continue
            plain = domain.removeprefix("*.")
            proof = Proof(kind, plain, challenge.token, client.key_authorization(challenge.token))
            return _Task(url, domain, challenge, proof)
        names = ", ".join(sorted(shown(kind) for kind in offered)[:MOST_TOLD]) or "none"
        hint = f"it offers: {names}; this certificate uses: {', '.join(wanted.challenges_for(domain))}"
        raise ChallengeError(Fault("offers no challenge that can be used", client.url, domain, hint=hint))

    async def _present(self, task: _Task, client: Client) -> None:
        try:
            await self.solvers[task.proof.type].present(task.proof)
        except StorageError:
            raise
        except AcmeError as error:
            told = Fault(f"was not told: {task.proof.type} failed here: {error}", client.url, task.domain)
            raise _FailedError({(task.domain, task.proof.type)}, ChallengeError(told)) from error

    async def _settle(self, task: _Task, client: Client) -> None:
        if task.challenge.status == "pending":
            await client.ready(task.domain, task.challenge)
        body = await client.settled(task.domain, task.url)
        if body.status == "valid":
            return
        errors = [challenge.error for challenge in body.challenges if challenge.error is not None]
        problem = errors[0].problem if errors else None
        hint = None if problem is None else hint_for(problem, task.proof.type)
        fault = Fault(f"did not accept {task.proof.type}", client.url, task.domain, problem, hint)
        raise _FailedError({(task.domain, task.proof.type)}, ChallengeError(fault))

    async def _clean(self, tasks: list[_Task], turns: list[asyncio.Lock]) -> None:
        """Take all answers away; what cannot be is told, and is no reason to go without the certificate."""
        try:
            await self._take_away(tasks)
        finally:
            for turn in turns:
                turn.release()

    async def _take_away(self, tasks: list[_Task]) -> None:
        results = await asyncio.gather(
            *(asyncio.wait_for(self.solvers[task.proof.type].clean(task.proof), CLEAN_UP) for task in tasks),
            return_exceptions=True,
        )
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, Exception):
                self.tell(f"{task.domain}: the answer to {task.proof.type} could not be taken away: {result}")

    async def _fulfil(self, client: Client, wanted: Wanted, order: Order) -> Certificate:
        """Let a proven order become a certificate, and see that it is the one that was asked for."""
        key = await self.threads.run(new_key, wanted.key_type)
        chain = await client.finalize(wanted.name, order, request(key, needed(wanted.domains)))
        try:
            found = Certificate.read(wanted.name, chain, key_text(key), client.url)
        except ValueError as error:
            raise AuthorityError(
                Fault(f"gave a certificate that is none: {shown(str(error))}", client.url, wanted.name)
            ) from None
        if not found.covers(wanted.domains) or found.ends <= time.time():
            raise AuthorityError(
                Fault("gave a certificate for something else, or for the past", client.url, wanted.name)
            )
        return found


def _ordered(client: Client, wanted: Wanted, body: AuthorizationBody) -> str:
    """Give the domain that is to be proven: one of those that were ordered, whatever an authority says."""
    with suppress(SettingsError):
        if (domain := normal(body.domain)) in wanted.domains:
            return domain
    told = f"wants {shown(body.domain)} to be proven, which was not ordered"
    raise AuthorityError(Fault(told, client.url, wanted.name))


def _together(causes: list[ChallengeError]) -> ChallengeError:
    first, *others = causes
    return ChallengeError(first.fault, *others)


class _FailedError(Exception):
    """Domains whose challenge failed, with its type."""

    def __init__(self, tried: set[tuple[str, str]], cause: ChallengeError) -> None:
        super().__init__(str(cause))
        self.tried = tried
        self.cause = cause


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Do all of them side by side to their end; then raise what went wrong, failed challenges as one."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    failed = [error for error in errors if isinstance(error, _FailedError)]
    if others := [error for error in errors if not isinstance(error, _FailedError)]:
        raise others[0]
    if failed:
        tried = set().union(*(error.tried for error in failed))
        raise _FailedError(tried, failed[0].cause)
