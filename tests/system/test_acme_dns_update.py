"""Records by dynamic update (RFC 2136), at a name server with which Pebble looks, too."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from system.dns_server import Zone, name_server
from system.managed import machine, run
from system.pebble import Pebble

from pylos.supervisor.acme import AcmeError, Dns, DnsUpdate, Storage, Wanted
from pylos.supervisor.acme import dns_update as module
from pylos.supervisor.acme.dns_01 import DnsSolver
from pylos.supervisor.acme.dns_update import Update
from pylos.supervisor.acme.dns_visible import until_visible
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.threads import Threads

SECRET = base64.b64encode(b"a secret of both").decode()
NAME = "_acme-challenge.shop.test"


@pytest.fixture
def zone() -> Zone:
    return Zone("shop.test", "key", SECRET)


@pytest.fixture
def port(zone: Zone) -> Iterator[int]:
    with name_server(zone) as port:
        yield port


def settings(port: int, **more: object) -> DnsUpdate:
    given = {"zone": "shop.test", "key_name": "key", "key_secret": SECRET, **more}
    return DnsUpdate("127.0.0.1", port, **given)  # type: ignore[arg-type]


def update_at(port: int, **more: object) -> Update:
    """Give one whose aliases are looked up at the same server."""
    return Update(settings(port, **more), Threads(), (f"127.0.0.1:{port}",))


@pytest.mark.services
@pytest.mark.parametrize("named", [True, False])
def test_a_wildcard(tmp_path: Path, zone: Zone, port: int, named):
    """Two names, one record with two values; the zone is named, or asked for."""
    pebble = Pebble(tmp_path / "pebble", http=1, tls=1, dns=port)
    how = Dns(settings(port, **({} if named else {"zone": None})), (f"127.0.0.1:{port}",))
    domains = ("*.shop.test", "shop.test")
    wanted = Wanted("shop", domains, (pebble.authority(),), challenges=("dns-01",), dns=how)

    async def story() -> None:
        async with machine(tmp_path / "storage", wanted) as one:
            assert (await one.certificate()).domains == set(domains)

    try:
        pebble.start()
        run(story())
    finally:
        pebble.stop()
    assert sorted(zone.updates) == [("add", NAME)] * 2 + [("remove", NAME)] * 2
    assert not any(zone.texts.values()), "all is taken away"


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512"])
def test_a_record_comes_and_goes(zone: Zone, port: int, algorithm):
    """Of several values one is taken away; neither is an error to do twice."""

    async def story() -> None:
        update = update_at(port, key_algorithm=algorithm)
        for value in ("one", "two", "one"):
            await update.add(NAME, value)
        await update.remove(NAME, "one")
        await update.remove(NAME, "one")

    asyncio.run(story())
    assert list(zone.texts.values()) == [{"two"}]


def test_a_name_that_is_an_alias_stands_for_another(zone: Zone, port: int):
    """RFC 2136 section 3.4.2.2: what is added to an alias is passed over in silence."""
    zone.aliases[NAME] = "proofs.shop.test"

    async def story() -> None:
        update = update_at(port)
        await update.add(NAME, "one")
        await until_visible(NAME, "one", (f"127.0.0.1:{port}",), 10, Threads())
        await update.add(NAME, "two")
        await update.remove(NAME, "one")

    asyncio.run(story())
    assert {name.to_text(): values for name, values in zone.texts.items()} == {"proofs.shop.test.": {"two"}}
    with pytest.raises(AcmeError, match=f"update of proofs.shop.test, for {NAME}, at"):
        asyncio.run(update_at(port, zone="other.test").add(NAME, "one"))


def test_tcp_where_udp_is_lost(zone: Zone, port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    zone.by_udp = False
    asyncio.run(update_at(port).add(NAME, "one"))
    assert list(zone.texts.values()) == [{"one"}]


@pytest.mark.parametrize(
    "more, told",
    [
        ({"key_name": "other"}, "does the server know the key"),
        ({"key_secret": base64.b64encode(b"wrong").decode()}, "does the server know the key"),
        ({"key_secret": "no base64"}, "127.0.0.1"),
        ({"key_name": None, "key_secret": None}, "REFUSED.*the key may not change the zone"),
        ({"zone": "other.test"}, "NOTAUTH"),
    ],
)
def test_refusals(port: int, more, told):
    with pytest.raises(AcmeError, match=told) as found:
        asyncio.run(update_at(port, **more).add(NAME, "one"))
    assert f"update of {NAME} at 127.0.0.1:{port}" in str(found.value)


def test_a_zone_that_is_not_there(port: int):
    with pytest.raises(AcmeError, match=r"has no zone for other\.test"):
        asyncio.run(update_at(port, zone=None).add("other.test", "one"))


def test_a_record_that_is_not_seen(tmp_path: Path, zone: Zone, port: int):
    """It was made in one place, and is looked for in another: told, with what is seen there, within the bound."""
    elsewhere = Zone("shop.test", "key", SECRET)
    with name_server(elsewhere) as other:
        how = Dns(settings(port), (f"127.0.0.1:{other}", f"127.0.0.1:{port}"), patience=0.5)
        solver = DnsSolver(how, Storage(tmp_path), Threads())
        with pytest.raises(AcmeError, match=r"after 0\.5 s") as found:
            asyncio.run(solver.present(Proof("dns-01", "shop.test", "token", "token.thumb")))
        assert f"127.0.0.1:{other} shows nothing; 127.0.0.1:{port} shows " in str(found.value)
    assert any(zone.texts.values())
