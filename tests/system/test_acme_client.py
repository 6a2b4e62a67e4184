"""Certificates from Pebble, an authority that is not ours (make test-services; Pebble is built with Go)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from system.managed import PATIENCE, certificate_for, machine, run, token
from system.pebble import Names, Pebble, external_key, free_port, http_server, tls_server

from pylos.supervisor.acme import (
    Authority,
    Certificate,
    Dns,
    DnsCommand,
    DnsFunction,
    ExternalAccount,
    Wanted,
)

pytestmark = pytest.mark.services


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    server = Names(tmp_path / "names")
    try:
        yield server.start()
    finally:
        server.stop()


@dataclass
class Ground:
    """An authority with servers that answer its validators from a storage."""

    pebble: Pebble
    storage: Path
    http: list[str]
    """Paths that were asked for."""
    tls: list[str]
    """Names."""


@pytest.fixture
def ground(tmp_path: Path, storage: Path, names: Names) -> Iterator[Callable[..., Ground]]:
    """Make the ground; further arguments are Pebble's."""
    pebbles: list[Pebble] = []
    by_http, by_tls = partial(token, storage), partial(certificate_for, storage)
    with http_server(by_http) as (http, paths), tls_server(by_tls) as (tls, asked):

        def make(*, start: bool = True, http_port: int | None = None, **settings: object) -> Ground:
            folder = tmp_path / f"pebble{len(pebbles)}"
            ports = {"http": http_port or http, "tls": tls, "dns": names.port}
            pebbles.append(Pebble(folder, **(ports | settings)))
            if start:
                pebbles[-1].start()
            return Ground(pebbles[-1], storage, paths, asked)

        try:
            yield make
        finally:
            for pebble in pebbles:
                pebble.stop()


def leaf(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.chain.encode())


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_http_01(ground: Callable[..., Ground], key_type):
    there = ground()
    wanted = Wanted("shop", ("shop.test", "WWW.shop.test"), (there.pebble.authority(),), key_type, ("http-01",))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            made = await one.certificate()
            assert made.domains == {"shop.test", "www.shop.test"}
            assert made.source == there.pebble.directory
            assert one.certifier.current("shop") == made
            status = one.certifier.status()[0]
            assert (status.state, status.error, status.failures) == ("valid", None, 0)
            assert made.begins + 60 * 86400 <= status.next_step <= made.ends

    run(story())
    assert len(set(there.http)) == 2
    assert not list((there.storage / "answers" / "http-01").iterdir()), "answers are taken away"
    assert all(file.stat().st_mode & 0o077 == 0 for file in there.storage.rglob("*"))


def test_a_certificate_is_trusted_by_the_root(ground: Callable[..., Ground]):
    there = ground()
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            made = await one.certificate()
            root = x509.load_pem_x509_certificate(there.pebble.manage("/roots/0"))
            own, *others = x509.load_pem_x509_certificates(made.chain.encode())
            issuer = others[0]
            own.verify_directly_issued_by(issuer)
            issuer.verify_directly_issued_by(root)

    run(story())


def test_tls_alpn_01(ground: Callable[..., Ground]):
    there = ground()
    wanted = Wanted("both", ("shop.test", "127.0.0.1"), (there.pebble.authority(),), challenges=("tls-alpn-01",))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            assert (await one.certificate()).domains == {"shop.test", "127.0.0.1"}

    run(story())
    assert sorted(set(there.tls)) == ["1.0.0.127.in-addr.arpa", "shop.test"]
    assert not there.http


def test_another_challenge_is_tried(ground: Callable[..., Ground]):
    there = ground(http_port=free_port())
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.certificate()
            assert one.certifier.status()[0].failures == 0
            assert "http-01" in one.lines.told[0][1]

    run(story())
    assert set(there.tls) == {"shop.test"}


def test_no_challenge_works(ground: Callable[..., Ground]):
    """All that failed is told, each with the domain, the authority and what to do."""
    there = ground(http_port=free_port(), tls=free_port())
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            told = one.certifier.status()[0].error or ""
            for challenge in ("http-01", "tls-alpn-01"):
                assert f"shop.test: {there.pebble.directory} did not accept {challenge}: " in told
            assert "urn:ietf:params:acme:error:connection" in told
            assert "by port 80 and unchanged" in told
            assert "nothing before this gateway may end TLS" in told

    run(story())


@pytest.mark.parametrize("by", ["command", "function"])
def test_dns_01_by_a_hook(ground: Callable[..., Ground], names: Names, tmp_path: Path, monkeypatch, by):
    there = ground()
    names.write_hook(tmp_path / "records.py")
    monkeypatch.chdir(tmp_path)
    hook = DnsCommand((sys.executable, "records.py")) if by == "command" else DnsFunction("records:change")
    dns = Dns(hook, (f"127.0.0.1:{names.port}",))
    domains = ("*.shop.test", "other.test")
    wanted = Wanted("shop", domains, (there.pebble.authority(),), challenges=("dns-01",), dns=dns)

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            assert (await one.certificate()).domains == set(domains)
            assert not list((there.storage / "answers" / "dns-01").iterdir())

    run(story())
    assert names.texts_asked("_acme-challenge.shop.test")


def test_refused_nonces(ground: Callable[..., Ground]):
    """Three of ten, in some thirty requests."""
    there = ground(environment={"PEBBLE_WFE_NONCEREJECT": "30"})
    wanted = Wanted("shop", tuple(f"{letter}.test" for letter in "abcdef"), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.certificate()
            assert one.certifier.status()[0].failures == 0

    run(story())
    assert there.pebble.output.count("HEAD /nonce-plz") > 2, "after each refusal another one is fetched"


MAC = external_key()


@pytest.mark.parametrize(
    "eab, error",
    [
        (ExternalAccount("kid-1", MAC), None),
        (ExternalAccount("kid-1", external_key()), "unauthorized"),
        (None, "accounts of its own only"),
    ],
)
def test_external_accounts(ground: Callable[..., Ground], eab, error):
    there = ground(options={"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": MAC}})
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(eab=eab, email="me@shop.test"),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            if error is None:
                await one.certificate()
            else:
                await one.until(lambda: one.certifier.status()[0].error)
                told = one.certifier.status()[0].error
                assert told is not None
                assert there.pebble.directory in told
                assert error in told

    run(story())


def test_an_email_is_changed(ground: Callable[..., Ground]):
    there = ground()

    async def story() -> None:
        account = {}
        for number, email in enumerate((None, "me@shop.test", "you@shop.test", None)):
            authority = there.pebble.authority(email=email)
            async with machine(there.storage, Wanted(f"shop{number}", ("shop.test",), (authority,))) as one:
                await one.certificate()
            before, account = account, json.loads(next((there.storage / "accounts").iterdir()).read_text())
            assert account["email"] == email
            assert before.get("url", account["url"]) == account["url"], "it stays the same account"
        authority = there.pebble.authority(email="no address")
        async with machine(there.storage, Wanted("last", ("shop.test",), (authority,))) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            assert "it does not like the `email`" in (one.certifier.status()[0].error or "")

    run(story())


def test_short_ones_are_renewed(ground: Callable[..., Ground]):
    there = ground()
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(profile="short"),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            first, second, third = [await one.certificate(number) for number in (1, 2, 3)]
            assert first.ends - first.begins == 14
            assert first.begins < second.begins < third.begins
            assert second.begins < first.ends
            assert third.begins < second.ends
            assert leaf(first).public_key() != leaf(second).public_key()

    run(story())


def test_the_authority_says_when(ground: Callable[..., Ground]):
    there = ground()
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            first = await one.certificate()
        state = next((there.storage / "states").iterdir())
        window = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
        body = {"certificate": first.chain, "ariResponse": json.dumps({"suggestedWindow": window})}
        there.pebble.manage("/set-renewal-info/", body)
        said = json.loads(state.read_text()) | {"window_ask_at": 0.0}
        state.write_text(json.dumps(said))
        # A window that has passed means at once, but for what keeps us from renewing again and again.
        async with machine(there.storage, wanted) as one:
            await one.until(lambda: first.begins < one.certifier.status()[0].next_step < first.ends - 70 * 86400)
            assert 3600 <= one.certifier.status()[0].next_step - first.begins < 3600 + PATIENCE
            one.certifier.hurry("shop")
            assert await one.certificate(2) != first

    run(story())
    assert "is a replacement of" in there.pebble.output


def test_an_authority_that_comes_up(ground: Callable[..., Ground]):
    there = ground(start=False)
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.until(lambda: one.certifier.status()[0].failures >= 2)
            status = one.certifier.status()[0]
            assert status.error is not None
            assert f"{there.pebble.directory} was not reached (directory)" in status.error
            assert one.certifier.stand_in("shop").is_stand_in
            await asyncio.to_thread(there.pebble.start)
            await one.certificate()

    run(story())


def test_an_authority_that_forgets_accounts(ground: Callable[..., Ground]):
    there = ground()
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.certificate()
            await asyncio.to_thread(there.pebble.stop)
            await asyncio.to_thread(there.pebble.start)
            one.certifier.hurry("shop")
            await one.certificate(2)

    run(story())


def test_the_next_authority_is_asked(ground: Callable[..., Ground]):
    there = ground()
    down = Authority("down", f"https://127.0.0.1:{free_port()}/dir")
    wanted = Wanted("shop", ("shop.test",), (down, there.pebble.authority()))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            assert (await one.certificate()).source == there.pebble.directory

    run(story())


@pytest.mark.parametrize("staging_is_well", [True, False])
def test_a_failure_is_tried_at_the_staging_directory(ground: Callable[..., Ground], staging_is_well):
    """One that is not well itself is told of, and stops nothing."""
    real, staging = ground(start=False), ground(start=False)
    authority = Authority(
        "pebble",
        real.pebble.directory,
        profile="default",
        ca=real.pebble.folder / "both.pem",
        staging=staging.pebble.directory,
    )
    roots = [(one.pebble.folder / "ca.pem").read_text() for one in (real, staging)]
    (real.pebble.folder / "both.pem").write_text("".join(roots))
    wanted = Wanted("shop", ("shop.test",), (authority,))

    async def story() -> None:
        async with machine(real.storage, wanted) as one:
            await one.until(lambda: one.certifier.status()[0].failures >= 1)
            if staging_is_well:
                await asyncio.to_thread(staging.pebble.start)
                await one.until(lambda: "Issued certificate" in staging.pebble.output)
            await asyncio.to_thread(real.pebble.start)
            assert (await one.certificate()).source == real.pebble.directory
            assert staging_is_well or "certificate_staging" in [event for event, _ in one.lines.told]

    run(story())


@pytest.mark.parametrize("lease", [60, 0.8])
def test_two_machines(ground: Callable[..., Ground], lease):
    """One of them asks; the challenge arrives at a third, and both use what came of it."""
    there = ground()
    wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with (
            machine(there.storage, wanted, lease=lease) as one,
            machine(there.storage, wanted, lease=lease) as other,
        ):
            assert await one.certificate() == await other.certificate()

    run(story())
    assert there.pebble.output.count("Issued certificate") == 1


PROGRAM = """
import asyncio, sys
from pathlib import Path
from pylos.supervisor.acme import Authority, RetryDelays, Certifier, Pace, Storage, Wanted
storage, directory, ca = sys.argv[1:]
authority = Authority("pebble", directory, ca=Path(ca), profile="default")
async def on_new(certificate): print("new", flush=True)
certifier = Certifier(Storage(Path(storage), lease=1), [Wanted("shop", ("shop.test",), (authority,))], on_new,
                      pace=Pace(RetryDelays(first=2)))
asyncio.run(certifier.run())
"""


def test_a_machine_that_is_killed_at_work(tmp_path: Path, storage: Path, names: Names):
    """Killed when the validator comes, while its answer is given by another machine: that one goes on."""
    dying = []

    def answer(asked: str) -> str | None:
        if dying:
            dying.pop().kill()
        return token(storage, asked)

    with http_server(answer) as (http, _), ExitStack() as stack:
        pebble = Pebble(tmp_path / "pebble", http=http, tls=1, dns=names.port).start()
        stack.callback(pebble.stop)
        authority = pebble.authority()
        command = [sys.executable, "-c", PROGRAM, str(storage), pebble.directory, str(authority.ca)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        dying.append(process)
        assert process.communicate(timeout=PATIENCE)[0] == b"", "it got nothing"

        async def story() -> None:
            async with machine(storage, Wanted("shop", ("shop.test",), (authority,)), lease=1) as one:
                await one.certificate()

        run(story())
    assert pebble.output.count("Issued certificate") == 1
    assert len(list((storage / "accounts").iterdir())) == 1, "and uses the same account"


def test_the_chain_that_is_preferred(ground: Callable[..., Ground]):
    there = ground(environment={"PEBBLE_ALTERNATE_ROOTS": "2"})

    async def story() -> None:
        root = x509.load_pem_x509_certificate(await asyncio.to_thread(there.pebble.manage, "/roots/2"))
        name = str(root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        wanted = Wanted("shop", ("shop.test",), (there.pebble.authority(preferred_chain=name),))
        async with machine(there.storage, wanted) as one:
            chain = x509.load_pem_x509_certificates((await one.certificate()).chain.encode())
            assert chain[-1].issuer == root.subject

    run(story())


def test_what_is_wanted_changes(ground: Callable[..., Ground]):
    there = ground()
    authorities = (there.pebble.authority(),)

    async def story() -> None:
        async with machine(there.storage, Wanted("shop", ("shop.test",), authorities)) as one:
            first = await one.certificate()
            one.certifier.update([Wanted("shop", ("shop.test", "new.test"), authorities)])
            assert one.certifier.current("shop") == first, "in use until the next one is there"
            assert (await one.certificate(2)).domains == {"shop.test", "new.test"}
            one.certifier.update([])
            assert one.certifier.current("shop") is None

    run(story())


def test_a_domain_that_is_refused(ground: Callable[..., Ground]):
    there = ground(options={"domainBlocklist": ["blocked.test"]})
    wanted = Wanted("shop", ("blocked.test",), (there.pebble.authority(),))

    async def story() -> None:
        async with machine(there.storage, wanted) as one:
            await one.until(lambda: one.certifier.status()[0].failures)
            told = one.certifier.status()[0].error or ""
            assert f"{there.pebble.directory} refused order" in told
            assert "urn:ietf:params:acme:error:rejectedIdentifier" in told

    run(story())
