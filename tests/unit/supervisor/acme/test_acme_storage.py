"""What is kept comes back; what is broken is set aside, and told."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylos.config.x509 import key_text
from pylos.supervisor.acme import Certificate, Storage, StorageError, files, selfsigned
from pylos.supervisor.acme.keys import new_key
from pylos.supervisor.acme.records import AccountRecord, AnswerRecord, StateRecord
from pylos.supervisor.acme.storage import STALE, Broken

URL = "https://acme.test/dir"


@pytest.fixture
def broken() -> list[Broken]:
    return []


@pytest.fixture
def storage(tmp_path: Path, broken: list[Broken]) -> Storage:
    return Storage(tmp_path / "acme", broken.append)


@pytest.fixture
def shop() -> Certificate:
    return selfsigned(["shop.test"], "shop")


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


@given(st.text(min_size=1))
def test_a_name_becomes_the_name_of_a_file(name):
    label = files.label(name)
    assert len(label) <= 80
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_names_share_a_file(one, other):
    assert (files.label(one) == files.label(other)) is (one == other)
    assert files.label(one).lower() == files.label(one)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", ".", "..", "a/b", "a\x00b", "x" * 5000])
def test_names_lead_nowhere(storage: Storage, name):
    storage.keep_certificate(selfsigned(["shop.test"], name))
    assert only(storage.folder / "certificates").parent == storage.folder / "certificates"
    found = storage.certificate(name)
    assert found is not None
    assert found.name == name


def test_a_certificate_comes_back(storage: Storage, shop: Certificate):
    assert storage.certificate("shop") is None
    storage.keep_certificate(shop)
    assert storage.certificate("shop") == shop
    path = only(storage.folder / "certificates")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (path.parent, storage.folder))


def test_all_else_comes_back(storage: Storage):
    account = AccountRecord(directory=URL, key=key_text(new_key("ecdsa")), url=f"{URL}/1", email="me@shop.test")
    storage.keep_account(account)
    storage.keep_account(account.model_copy(update={"url": f"{URL}/2"}), "kid")
    assert storage.account(URL) == account
    other = storage.account(URL, "kid")
    assert other is not None
    assert other.url == f"{URL}/2"
    answer = AnswerRecord(kind="http-01", key="token", domain="shop.test", value="token.thumb", at=5.0)
    storage.keep_answer(answer)
    assert storage.answer("http-01", "token") == answer
    assert storage.answer("http-01", "Token") is None
    assert storage.leftovers("http-01", STALE) == []
    assert storage.leftovers("http-01", STALE + 6) == [answer]
    storage.drop_answer("http-01", "token")
    storage.drop_answer("http-01", "token")
    assert storage.answer("http-01", "token") is None
    state = StateRecord(name="shop", failures=3, held_off={URL: 7.0}, window=(1.0, 2.0))
    assert storage.state("shop") == StateRecord(name="shop")
    storage.keep_state(state)
    assert storage.state("shop") == state


def _swap_key(said: dict) -> dict:
    return said | {"key": key_text(new_key("ecdsa"))}


@pytest.mark.parametrize(
    "spoil, why",
    [
        (lambda _: b"", "EOF"),
        (lambda data: data[: len(data) // 2], "EOF"),
        (lambda _: b"\xff\xfe\x00", "Invalid JSON"),
        (lambda _: b"[]", "object"),
        (lambda data: json.dumps(_swap_key(json.loads(data))).encode(), "not that of the certificate"),
        (lambda data: json.dumps(json.loads(data) | {"key": "none"}).encode(), "no private key"),
        (lambda data: json.dumps(json.loads(data) | {"chain": ""}).encode(), "PEM"),
        (lambda data: json.dumps(json.loads(data) | {"name": "other"}).encode(), "something else"),
        (lambda data: json.dumps(json.loads(data) | {"format": "new"}).encode(), "format"),
    ],
)
def test_a_broken_one_is_set_aside(storage: Storage, shop: Certificate, broken: list[Broken], spoil, why):
    storage.keep_certificate(shop)
    path = only(storage.folder / "certificates")
    path.write_bytes(spoil(path.read_bytes()))
    spoiled = path.read_bytes()
    assert storage.certificate("shop") is None
    assert why in str(broken[0])
    assert str(path) in str(broken[0])
    assert "PRIVATE" not in str(broken[0])
    assert broken[0].aside.read_bytes() == spoiled
    assert not path.exists()
    storage.keep_certificate(shop)
    assert storage.certificate("shop") == shop
    assert len(broken) == 1


def test_what_another_version_has_written_stays(storage: Storage, shop: Certificate, broken: list[Broken]):
    """It is good: during an upgrade of several machines, say."""
    answers = [AnswerRecord(kind="http-01", key=key, domain="a.test", value="x", at=5.0) for key in ("one", "two")]
    storage.keep_certificate(shop)
    storage.keep_account(AccountRecord(directory=URL, key=key_text(new_key("ecdsa"))))
    for answer in answers:
        storage.keep_answer(answer)
    other = next(path for path in (storage.folder / "answers" / "http-01").iterdir() if "one" in path.name)
    for path in (only(storage.folder / "certificates"), only(storage.folder / "accounts"), other):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2, "odd": True}))
    for read in (lambda: storage.certificate("shop"), lambda: storage.account(URL)):
        with pytest.raises(StorageError, match=r"another version of Pylos \(format 2\)"):
            read()
    assert storage.answers("http-01", 5.0) == answers[1:], "one holds up no other"
    assert storage.leftovers("http-01", STALE + 6) == answers[1:]
    assert broken == []


def test_what_is_replaced_while_it_is_read_is_no_broken_one(
    storage: Storage, shop: Certificate, broken: list[Broken], monkeypatch: pytest.MonkeyPatch
):
    storage.keep_certificate(shop)
    real, pieces = files.read, [b"{", b"{ "]
    monkeypatch.setattr(files, "read", lambda path: pieces.pop() if pieces else real(path))
    assert storage.certificate("shop") == shop
    assert broken == []


@given(data=st.binary(max_size=300))
def test_nothing_in_a_file_is_too_much(tmp_path_factory, data):
    storage = Storage(tmp_path_factory.mktemp("acme"))
    files.write(storage.folder / "states" / f"{files.label('shop')}.json", data)
    assert storage.state("shop").name == "shop"


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_no_time_is_without_end(storage: Storage, broken: list[Broken], number):
    storage.keep_state(StateRecord(name="shop", next_try=5.0))
    path = only(storage.folder / "states")
    path.write_text(path.read_text().replace("5.0", number))
    assert storage.state("shop").next_try == 0.0
    assert "next_try" in str(broken[0])


def test_a_write_that_fails_changes_nothing(storage: Storage, shop: Certificate, monkeypatch: pytest.MonkeyPatch):
    storage.keep_certificate(shop)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        storage.keep_certificate(selfsigned(["other.test"], "shop"))
    monkeypatch.undo()
    assert storage.certificate("shop") == shop
    assert [file.name[0] for file in (storage.folder / "certificates").iterdir()] == ["s"]


def test_what_was_not_written_to_its_end_is_removed(storage: Storage, shop: Certificate):
    """Its writer has died; one that is being written now is another matter."""
    storage.keep_certificate(shop)
    folder = storage.folder / "certificates"
    old, new = folder / ".shop-1.json.0123.new", folder / ".shop-2.json.4567.new"
    for path in (old, new):
        path.write_text("a key")
    now = new.stat().st_mtime
    os.utime(old, (now - STALE - 1, now - STALE - 1))
    storage.drop_unfinished(now)
    assert (old.exists(), new.exists()) == (False, True)
    assert storage.certificate("shop") == shop


@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.EACCES, "own the storage"),
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "read only"),
        (errno.ESTALE, "file server"),
        (errno.ENOTDIR, "take it away"),
        (errno.EMFILE, "a folder that this user"),
    ],
)
def test_what_is_to_be_done_is_told(storage: Storage, monkeypatch: pytest.MonkeyPatch, number, remedy):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    for use in (lambda: storage.keep_state(StateRecord(name="shop")), lambda: storage.locks.take("shop")):
        with pytest.raises(StorageError, match=remedy) as found:
            use()
        assert os.strerror(number) in str(found.value)


def test_a_storage_that_is_no_folder_is_told(tmp_path: Path, shop: Certificate):
    (tmp_path / "file").write_text("")
    storage = Storage(tmp_path / "file")
    assert storage.certificate("shop") is None
    with pytest.raises(StorageError, match="file"):
        storage.keep_certificate(shop)
