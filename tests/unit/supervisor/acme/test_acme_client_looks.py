"""Looks at what an authority has not settled yet: how long, how often, and what ends them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import requests

from pylos.supervisor.acme import Authority, AuthorityError, Storage, client
from pylos.supervisor.acme.client import Client
from pylos.supervisor.acme.errors import Fault
from pylos.supervisor.acme.threads import Threads

HERE = Authority("here", "https://acme.test/dir")


def response(body: str = "", **fields: str) -> requests.Response:
    made = requests.Response()
    made._content = body.encode()
    made.headers.update(fields)
    return made


class Looks:
    """What each look finds, in turn; and how long was waited between them."""

    def __init__(self, folder: Path, *found: object) -> None:
        self.left = list(found)
        self.waits: list[float] = []
        self.client = Client(HERE, HERE.directory, Storage(folder), Threads(), self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def look(self) -> tuple[str, requests.Response]:
        found = self.left.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, requests.Response)
        return found.text, found

    async def post(self, *_: object) -> requests.Response:
        return (await self.look())[1]

    def watch(self) -> str:
        return asyncio.run(self.client._watch("order", "shop", self.look, lambda body: body != "pending"))


def away(retry_after: float | None = None) -> AuthorityError:
    return AuthorityError(Fault("was not reached", HERE.directory, retry_after=retry_after, reached=False))


def test_an_authority_that_is_away_for_a_while_does_not_end_it(tmp_path: Path):
    looks = Looks(
        tmp_path, response("pending"), away(), away(30), response("pending", **{"Retry-After": "7"}), response("valid")
    )
    assert looks.watch() == "valid"
    assert looks.waits == [0.25, 0.5, 30, 7]


def test_a_word_about_what_was_asked_does(tmp_path: Path):
    looks = Looks(tmp_path, AuthorityError(Fault("refused order", HERE.directory)))
    with pytest.raises(AuthorityError, match="refused order"):
        looks.watch()
    assert looks.waits == []


@pytest.mark.parametrize(
    "found, told", [(away(), "was not reached"), (response("pending"), "did not settle the order")]
)
def test_it_is_not_looked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found, told):
    monkeypatch.setattr(client, "PATIENCE", 0.0)
    with pytest.raises(AuthorityError, match=told):
        Looks(tmp_path, found).watch()


def test_a_chain_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The order is fulfilled: to begin anew would cost another certificate."""
    looks = Looks(tmp_path, away(), response("chain"))
    monkeypatch.setattr(looks.client, "_post", looks.post)
    assert asyncio.run(looks.client._download("shop", "https://acme.test/chain")) == "chain"


def test_a_chain_that_is_preferred_and_not_there_costs_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = response("chain", Link='<https://acme.test/other>;rel="alternate"')
    looks = Looks(tmp_path, first, away())
    looks.client.authority = Authority("here", HERE.directory, preferred_chain="Other Root")
    monkeypatch.setattr(looks.client, "_post", looks.post)
    monkeypatch.setattr(looks.client, "_issuers", lambda *_: ["Root"])
    assert asyncio.run(looks.client._download("shop", "https://acme.test/chain")) == "chain"
