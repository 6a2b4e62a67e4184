"""What was in use, and which of it comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from pylos import Config
from pylos.config.diff import Change
from pylos.errors import PylosError
from pylos.supervisor.history import LONGEST, History
from pylos.supervisor.source import Checked


def document(number: int) -> Checked:
    loaded = Config(
        listen={"http": {"bind": "127.0.0.1:0"}},
        route={"site": {"match": "/", "respond": {"text": str(number)}}},
    ).loaded
    return Checked(loaded.table, "pylos.toml")


def used(*documents: int) -> History:
    """A history in which these were put into use one after the other, as 1, 2, 3..."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    history = History(now=lambda: start + timedelta(seconds=len(history.as_json())))
    for number, which in enumerate(documents, 1):
        take(history, number, document(which), "test")
    return history


def take(history: History, number: int, checked: Checked, reason: str, restores: int | None = None) -> list[Change]:
    """Put something into use; gives what it changed."""
    entry, found = history.entry(number, checked, reason, restores)
    history.add(entry)
    return found


def put_back(history: History, number: int | None = None) -> int:
    """Do what a rollback does; gives the number of what was put back."""
    entry = history.find(number)
    origin = entry.restores or entry.number
    take(history, history.as_json()[0]["number"] + 1, entry.checked, "rollback", origin)
    return origin


def test_a_secret_comes_back_with_its_document_and_is_in_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    for number, value in enumerate(["correct horse", "battery staple"], 1):
        monkeypatch.setenv("PYLOS_TEST_SECRET", value)
        loaded = Config(
            listen={"http": {"bind": "127.0.0.1:0"}},
            policy={"token": {"type": "headers", "request": {"set": {"a": {"env": "PYLOS_TEST_SECRET"}}}}},
        ).loaded
        found = take(history, number, Checked(loaded.table, secrets=loaded.secrets), "test")

    assert [(key.before, key.after) for change in found for key in change.keys] == [("***", "***")]
    former = history.find(None).checked
    assert former.table["policy"]["token"]["kind"]["request"]["set"] == {"a": "correct horse"}
    assert former.secrets == [["policy", "token", "kind", "request", "set", "a"]]
    assert "horse" not in repr(history._entries) + str(history.as_json())


def test_the_list() -> None:
    latest, first = used(1, 2).as_json()
    assert latest == {
        "number": 2,
        "time": "2026-01-01T00:00:01Z",
        "reason": "test",
        "digest": document(2).digest,
        "summary": "1 changed: route.site",
        "restores": None,
        "in_use": True,
    }
    assert (first["number"], first["summary"], first["in_use"]) == (1, "the first", False)


def test_a_document_comes_back_as_it_was() -> None:
    checked = used(1, 2).find(1).checked
    assert (checked.table, checked.name, checked.digest) == (document(1).table, "pylos.toml", document(1).digest)


def test_one_rollback_after_the_other_goes_further_back() -> None:
    history = used(1, 2, 3)
    assert put_back(history) == 2
    assert put_back(history) == 1
    with pytest.raises(PylosError, match="no configuration before the one in use; there are 1, 2, 3, 4, 5"):
        history.find(None)


def test_what_was_left_by_a_rollback_can_be_named() -> None:
    history = used(1, 2, 3)
    put_back(history)
    assert put_back(history, 3) == 3
    assert put_back(history) == 2


def test_after_a_rollback_and_a_new_document_the_restored_one_is_before() -> None:
    history = used(1, 2)
    put_back(history)
    take(history, 4, document(4), "test")
    assert put_back(history) == 1


def test_the_same_document_is_not_before_itself() -> None:
    history = used(1, 2, 1)
    assert history.find(None).number == 2
    history = used(1, 1)
    with pytest.raises(PylosError, match="no configuration before"):
        history.find(None)


def test_it_forgets() -> None:
    history = used(*range(LONGEST + 5))
    assert [entry["number"] for entry in history.as_json()] == list(range(LONGEST + 5, 5, -1))
    with pytest.raises(PylosError, match="there is no configuration 5 in the history"):
        history.find(5)


def test_a_digest_knows_no_order() -> None:
    table = document(1).table
    assert Checked(dict(reversed(table.items()))).digest == Checked(table).digest
    assert Checked(table, tests={"it": {}}).digest != Checked(table).digest


def test_a_digest_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = document(1)
    digest = checked.digest
    monkeypatch.setattr("pylos.supervisor.source.hashlib.sha256", lambda _: 1 // 0)

    assert checked.digest == digest


def renew(history: History, number: int) -> None:
    """Note that what is in use has other certificates."""
    history.add(history.renewal(number, history.in_use.checked, "a file has changed"))


def test_a_renewal_is_no_step_that_is_gone_back() -> None:
    history = used(1, 2)
    renew(history, 3)
    renew(history, 4)

    assert [(one["number"], one["restores"]) for one in history.as_json()] == [(4, 2), (2, None), (1, None)]
    assert history.as_json()[0]["summary"] == "new certificates for configuration 2"
    assert history.find(None).number == 1


def test_what_was_renewed_comes_back_as_what_it_is() -> None:
    history = used(1, 2)
    renew(history, 3)
    take(history, 4, document(4), "test")

    assert (history.find(None).number, history.find(None).restores) == (3, 2)
    assert put_back(history) == 2
    assert put_back(history) == 1


def test_a_renewal_of_what_was_put_back_restores_that() -> None:
    history = used(1, 2, 3)
    put_back(history, 1)
    renew(history, 5)

    assert history.as_json()[0]["restores"] == 1
    with pytest.raises(PylosError, match="no configuration before the one in use"):
        history.find(None)
