"""One attempt at an authority: in which order things are done, and what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pylos.supervisor.acme import Authority, AuthorityError, Dns, DnsCommand, Pace, Storage, Wanted
from pylos.supervisor.acme.answers import LOOK, SEEN
from pylos.supervisor.acme.background import Background
from pylos.supervisor.acme.certifier import END
from pylos.supervisor.acme.client import Client, Order
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.tls_alpn_01 import TlsAlpnSolver, Turns
from pylos.supervisor.acme.wire import AuthorizationBody, ChallengeBody, OrderBody

HERE = Authority("here", "https://acme.test/dir")
SHOP = Wanted("shop", ("shop.test", "www.shop.test"), (HERE,), challenges=("http-01",))


class ClientDouble:
    """An authority in place of the protocol: it offers what it is told to, and writes down what is done."""

    def __init__(self, steps: list[str], offers: tuple[str, ...] = ("http-01", "tls-alpn-01", "dns-01")) -> None:
        self.url = HERE.directory
        self.steps = steps
        self.offers = offers
        self.ordered: list[str] = []
        self.asks_for: Callable[[str], str] = lambda domain: domain
        """The domain that it wants to be proven in place of one that was ordered."""
        self.finds: Callable[[str, str], str] = lambda *_: "valid"
        """What becomes of an authorization, by the domain and the type of challenge."""
        self.tried: dict[str, str] = {}
        self.tokens = 0

    async def open(self, *_: object, **__: object) -> ClientDouble:
        return self

    def key_authorization(self, token: str) -> str:
        return f"{token}.thumb"

    async def order(self, _: str, domains: tuple[str, ...], __: str | None) -> Order:
        self.ordered = list(domains)
        body = OrderBody(status="pending", authorizations=self.ordered, finalize="finalize")  # type: ignore[arg-type]
        return Order("order", body)

    async def authorization(self, _: str, url: str) -> AuthorizationBody:
        return self._authorization(url, "pending")

    async def ready(self, domain: str, challenge: ChallengeBody) -> None:
        self.steps.append(f"ready {domain} {challenge.type}")
        self.tried[domain] = challenge.type

    async def settled(self, domain: str, url: str) -> AuthorizationBody:
        return self._authorization(url, self.finds(domain, self.tried[domain]))

    async def finalize(self, _: str, __: Order, csr: x509.CertificateSigningRequest) -> str:
        self.steps.append("finalize")
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "double")])
        built = (
            x509.CertificateBuilder(issuer, csr.subject, csr.public_key(), x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=90))
            .add_extension(names.value, critical=True)
            .sign(key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM).decode()

    def _authorization(self, url: str, status: str) -> AuthorizationBody:
        said = self.asks_for(url)
        self.tokens += 1
        token = f"token{self.tokens}"
        given = {
            "identifier": {"type": "dns", "value": said.removeprefix("*.")},
            "wildcard": said.startswith("*."),
            "status": status,
            "challenges": [{"type": kind, "url": kind, "token": token} for kind in self.offers],
        }
        return AuthorizationBody.model_validate(given)


class Steps:
    """A solver that writes down what it does."""

    def __init__(self, steps: list[str]) -> None:
        self.steps = steps

    async def present(self, proof: Proof) -> None:
        self.steps.append(f"present {proof.domain} {proof.type}")

    async def clean(self, proof: Proof) -> None:
        self.steps.append(f"clean {proof.domain} {proof.type}")


class Slow(Steps):
    """One that hangs when it is to take an answer away, until it is let go."""

    def __init__(self, steps: list[str]) -> None:
        super().__init__(steps)
        self.released = asyncio.Event()

    async def clean(self, proof: Proof) -> None:
        self.steps.append(f"hangs {proof.domain}")
        await self.released.wait()
        await super().clean(proof)


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def client(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> ClientDouble:
    made = ClientDouble(steps)
    monkeypatch.setattr(Client, "open", made.open)
    return made


@pytest.fixture
def issuer(tmp_path: Path, steps: list[str]) -> Issuer:
    async def sleep(seconds: float) -> None:
        steps.append(f"wait {seconds:g}")

    solver = Steps(steps)
    solvers = {"http-01": solver, "tls-alpn-01": solver, "dns-01": solver}
    return Issuer(Storage(tmp_path), Threads(), solvers, sleep=sleep, seen=SEEN)  # type: ignore[arg-type]


@pytest.mark.usefixtures("client")
def test_all_machines_know_an_answer_before_the_authority_is_told(issuer: Issuer, steps: list[str]):
    asyncio.run(issuer.issue(SHOP, HERE))
    assert steps[:3] == ["present shop.test http-01", "present www.shop.test http-01", f"wait {SEEN:g}"]
    assert steps[3:5] == ["ready shop.test http-01", "ready www.shop.test http-01"]
    assert sorted(steps[5:]) == ["clean shop.test http-01", "clean www.shop.test http-01", "finalize"]
    assert Pace().seen == SEEN > 2 * LOOK


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110, a step gives no signal
            await asyncio.sleep(0.005)


def test_an_attempt_that_is_given_up_does_not_wait_until_all_is_clean(
    issuer: Issuer, steps: list[str], client: ClientDouble
):
    """But it is cleaned, in the background."""

    async def story() -> None:
        slow = Slow(steps)
        client.finds = lambda *_: "pending"
        given = replace(issuer, solvers={"http-01": slow}, sleep=asyncio.sleep, seen=3600)
        attempt = asyncio.create_task(given.issue(SHOP, HERE))
        await until(lambda: "present www.shop.test http-01" in steps)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(attempt, 5)
        await until(lambda: "hangs shop.test" in steps)
        slow.released.set()
        await given.background.end(20)
        assert {"clean shop.test http-01", "clean www.shop.test http-01"} <= {*steps}
        assert "ready shop.test http-01" not in steps

    asyncio.run(story())


def test_the_end_waits_for_that_but_not_for_ever(steps: list[str]):
    async def story() -> None:
        background, slow = Background(), Slow(steps)
        task = background.start(slow.clean(Proof("http-01", "shop.test", "token", "token.thumb")))
        begun = asyncio.get_running_loop().time()
        await background.end(0.1)
        assert 0.09 <= asyncio.get_running_loop().time() - begun < 5
        assert task.cancelled()
        await background.end(0.1)

    asyncio.run(story())
    assert END == 5


def test_two_orders_for_one_domain_are_proven_one_after_the_other(issuer: Issuer, client: ClientDouble, tmp_path: Path):
    """tls-alpn-01 has one answer by server name; the other domains of the orders are in another sequence."""
    storage = Storage(tmp_path)
    given = replace(issuer, solvers={"tls-alpn-01": TlsAlpnSolver(storage, Threads())}, sleep=asyncio.sleep, seen=0)
    found: list[str] = []

    async def ready(domain: str, challenge: ChallengeBody) -> None:
        await asyncio.sleep(0.02)  # the validator takes its time
        answer = storage.answer("tls-alpn-01", domain)
        is_ours = answer is not None and answer.value == f"{challenge.token}.thumb"
        found.append(domain if is_ours else f"not ours for {domain}")
        client.tried[domain] = "tls-alpn-01"

    client.ready = ready  # type: ignore[method-assign]
    orders = [
        Wanted(name, domains, (HERE,), challenges=("tls-alpn-01",))
        for name, domains in (("one", ("a.test", "b.test")), ("two", ("b.test", "a.test")), ("three", ("c.test",)))
    ]

    async def story() -> None:
        await asyncio.wait_for(asyncio.gather(*(given.issue(order, HERE) for order in orders)), 20)

    asyncio.run(story())
    assert sorted(found) == ["a.test", "a.test", "b.test", "b.test", "c.test"]
    assert not storage.answers("tls-alpn-01", 0.0)


def test_a_turn_that_is_given_up_is_given_on():
    async def story() -> None:
        turns = Turns()
        first = await turns.take(["b.test"])
        waiting = asyncio.create_task(turns.take(["a.test", "b.test"]))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.wait_for(turns.take(["a.test"]), 5)
        first[0].release()
        await asyncio.wait_for(turns.take(["b.test"]), 5)

    asyncio.run(story())


def test_the_answer_of_another_machine_stays(tmp_path: Path):
    storage = Storage(tmp_path)
    ours, theirs = (Proof("tls-alpn-01", "shop.test", "token", value) for value in ("token.ours", "token.theirs"))

    async def story() -> None:
        solver = TlsAlpnSolver(storage, Threads())
        await solver.present(ours)
        await solver.present(theirs)
        await solver.clean(ours)
        assert [one.value for one in storage.answers("tls-alpn-01", 0.0)] == ["token.theirs"]

    asyncio.run(story())


@pytest.mark.parametrize("said", ["other.test", "*.shop.test", "x\x1b[2Jx", "127.0.0.1", ""])
def test_nothing_is_proven_that_was_not_ordered(issuer: Issuer, steps: list[str], client: ClientDouble, said):
    client.asks_for = lambda domain: said if domain == "shop.test" else domain
    with pytest.raises(AuthorityError, match="which was not ordered") as found:
        asyncio.run(issuer.issue(SHOP, HERE))
    assert "\x1b" not in str(found.value)
    assert steps == []


def test_no_more_is_proven_than_was_ordered(issuer: Issuer, client: ClientDouble):
    real = client.order

    async def order(*arguments: object) -> Order:
        made = await real(*arguments)  # type: ignore[arg-type]
        return replace(made, body=made.body.model_copy(update={"authorizations": tuple(map(str, range(100)))}))

    client.order = order  # type: ignore[assignment, method-assign]
    with pytest.raises(AuthorityError, match="wants 100 proofs for 2 domains"):
        asyncio.run(issuer.issue(SHOP, HERE))


def test_other_spellings_of_a_domain_are_the_same(issuer: Issuer, steps: list[str], client: ClientDouble):
    client.asks_for = str.upper
    asyncio.run(issuer.issue(SHOP, HERE))
    assert "present shop.test http-01" in steps


def test_what_is_offered_is_told_and_not_obeyed(issuer: Issuer, client: ClientDouble):
    client.offers = ("\x1b[2Jodd", *(f"kind-{number}" for number in range(1000)))
    with pytest.raises(AuthorityError, match="offers no challenge") as found:
        asyncio.run(issuer.issue(SHOP, HERE))
    assert "\x1b" not in str(found.value)
    assert len(str(found.value)) < 3000


def test_what_a_wildcard_covers_is_not_ordered(issuer: Issuer, client: ClientDouble):
    dns = Dns(DnsCommand(("true",)))
    wanted = Wanted("shop", ("www.shop.test", "*.shop.test"), (HERE,), challenges=("dns-01",), dns=dns)
    made = asyncio.run(issuer.issue(wanted, HERE))
    assert client.ordered == ["*.shop.test"]
    assert made.domains == {"*.shop.test"}
    assert made.covers(wanted.domains)
