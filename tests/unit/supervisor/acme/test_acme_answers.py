"""What validators are answered: the full set, of all machines, and nothing that is no answer."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from cryptography import x509

from pylos.supervisor.acme import Answers, Certifier, Storage, StorageError, files
from pylos.supervisor.acme import storage as module
from pylos.supervisor.acme.answers import StoredAnswers
from pylos.supervisor.acme.http_01 import HttpSolver
from pylos.supervisor.acme.records import AnswerRecord
from pylos.supervisor.acme.solver import Proof
from pylos.supervisor.acme.storage import STALE
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.tls_alpn_01 import ACME_IDENTIFIER, TlsAlpnSolver

NOW = 1.8e9
HTTP = Proof("http-01", "shop.test", "tok-en_1", "tok-en_1.thumb")


def leaf(chain: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(chain.encode())[0]


def record(key: str = "token", value: str = "token.thumb", kind: str = "http-01", at: float = NOW) -> AnswerRecord:
    return AnswerRecord(kind=kind, key=key, domain="shop.test", value=value, at=at)  # type: ignore[arg-type]


async def _nothing(_: object) -> None:
    pass


def test_an_answer_to_http_01(tmp_path: Path):
    """Whoever has stored it, every machine gives it."""
    other = Certifier(Storage(tmp_path), (), _nothing)

    async def story() -> None:
        solver = HttpSolver(Storage(tmp_path), Threads())
        assert other.answers() == Answers()
        await solver.present(HTTP)
        assert other.answers().as_json() == {"tokens": {"tok-en_1": "tok-en_1.thumb"}, "certificates": {}}
        await solver.clean(HTTP)
        await solver.clean(HTTP)
        assert other.answers() == Answers()

    asyncio.run(story())


@pytest.mark.parametrize("domain, asked", [("shop.test", "shop.test"), ("127.0.0.1", "1.0.0.127.in-addr.arpa")])
def test_an_answer_to_tls_alpn_01(tmp_path: Path, domain, asked):
    """RFC 8737 section 3: one name, and the digest in a critical extension."""
    storage = Storage(tmp_path)
    answers = StoredAnswers(storage)
    proof = Proof("tls-alpn-01", domain, "token", "token.thumb")

    async def story() -> None:
        solver = TlsAlpnSolver(storage, Threads())
        await solver.present(proof)
        found = answers.look()
        assert [*found.certificates] == [asked]
        assert answers.look() == found, "made once"
        assert found.as_json()["certificates"][asked].keys() == {"names", "chain", "key"}
        made = leaf(found.certificates[asked].chain)
        extension = made.extensions.get_extension_for_oid(ACME_IDENTIFIER)
        assert extension.critical
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        assert extension.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumb").digest()
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == [domain]
        assert found.certificates[asked].key not in repr(found)
        await solver.clean(proof)
        assert answers.look() == Answers()

    asyncio.run(story())


@pytest.mark.parametrize("token", ["", "..", "../token", "token/..", "token\x00", "tok en", "x" * 257, "tökén"])
def test_what_is_no_token_is_no_answer(tmp_path: Path, token):
    storage = Storage(tmp_path)
    storage.keep_answer(record(token))
    assert StoredAnswers(storage, lambda: NOW).look() == Answers()


@pytest.mark.parametrize("value", ["", "token", "token.thumb\r\nSet-Cookie: a=b", "token." + "x" * 257])
def test_what_is_no_key_authorization_is_no_answer(tmp_path: Path, value):
    storage = Storage(tmp_path)
    storage.keep_answer(record(value=value))
    assert StoredAnswers(storage, lambda: NOW).look() == Answers()


def test_what_is_no_domain_holds_up_no_other(tmp_path: Path):
    storage = Storage(tmp_path)
    storage.keep_answer(record("shop.test", kind="tls-alpn-01"))
    storage.keep_answer(record("x", kind="tls-alpn-01").model_copy(update={"domain": "\udcff\x00ö"[1:]}))
    assert [*StoredAnswers(storage, lambda: NOW).look().certificates] == ["shop.test"]


def test_what_nobody_waits_for_is_not_given(tmp_path: Path):
    storage, now = Storage(tmp_path), [NOW]
    storage.keep_answer(record())
    answers = StoredAnswers(storage, lambda: now[0])
    assert answers.look().tokens
    now[0] += STALE + 1
    assert not answers.look().tokens


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    storage, answers, reads = Storage(tmp_path), StoredAnswers(Storage(tmp_path), lambda: NOW), []
    real = files.read

    def read(path: Path) -> bytes | None:
        reads.append(path)
        return real(path)

    monkeypatch.setattr(files, "read", read)
    storage.keep_answer(record())
    assert answers.look() == answers.look()
    assert len(reads) == 1
    storage.keep_answer(record(value="token.other"))
    assert answers.look().tokens == {"token": "token.other"}
    assert len(reads) == 2


def test_a_look_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ANSWERS", 3)
    storage = Storage(tmp_path)
    for number in range(5):
        storage.keep_answer(record(f"token{number}"))
    assert [*StoredAnswers(storage, lambda: NOW).look().tokens] == ["token4", "token3", "token2"], "the youngest"


def test_a_storage_that_fails_says_so(tmp_path: Path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "http-01").write_text("")
    with pytest.raises(StorageError, match="http-01"):
        StoredAnswers(Storage(tmp_path)).look()
