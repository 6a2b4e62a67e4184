"""Secrets: read where they are named, and never shown."""

import copy

import pytest
from pydantic import ValidationError
from rich.pretty import pretty_repr

from pylos.model import Secret

VALUE = "correct horse"


@pytest.fixture(params=["file", "env"])
def secret(request, tmp_path, monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_SECRET", VALUE)
    (tmp_path / "secret").write_text(VALUE + "\n")
    return Secret.model_validate(
        {"file": str(tmp_path / "secret")} if request.param == "file" else {"env": "PYLOS_TEST_SECRET"}
    )


def test_it_is_read(secret):
    assert secret.reveal() == VALUE


def test_it_is_never_shown(secret):
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{[secret]}",
        f"{secret!a}",
        pretty_repr(secret),
        str(secret.model_dump()),
        secret.model_dump_json(),
        str(vars(secret)),
        str(secret.__getstate__()),
        str(secret.given),
    ]

    assert [text for text in shown if VALUE in text] == []
    assert (str(secret), repr(secret)) == ("***", "***")


def test_a_change_is_seen_without_a_look_at_it(secret, monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_SECRET", "other")

    assert secret == copy.copy(secret)
    assert secret != Secret.model_validate({"env": "PYLOS_TEST_SECRET"})
    assert len({secret, copy.copy(secret)}) == 1


@pytest.mark.parametrize(
    "given, code, message",
    [
        ({"file": "/none/such"}, "P114", "`/none/such` cannot be read: No such file or directory"),
        ({"file": "."}, "P114", "`.` is no file"),
        ({"file": "empty"}, "P114", "`empty` is empty"),
        ({"file": "large"}, "P114", "`large` is larger than 1 MiB"),
        ({"file": "binary"}, "P114", "`binary` holds no text in UTF-8"),
        ({"file": "a\0b"}, "P114", "`a\0b` is no file"),
        ({"env": "PYLOS_TEST_UNSET"}, "P114", "the variable `PYLOS_TEST_UNSET` is not set"),
        ({"env": "PYLOS_TEST_EMPTY"}, "P114", "the variable `PYLOS_TEST_EMPTY` is empty"),
        ({}, "P105", "no place to read the secret from"),
        ({"file": "empty", "env": "X"}, "P108", "cannot stand beside `file`: a secret comes from one place"),
        ("hunter2", "model_type", None),
    ],
)
def test_one_that_cannot_be_read(given, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYLOS_TEST_EMPTY", "")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"y")

    with pytest.raises(ValidationError) as caught:
        Secret.model_validate(given)

    (error,) = caught.value.errors()
    assert error["type"] == code
    assert message in (None, error["msg"])


def test_of_a_file_only_the_line_ends_at_its_end_do_not_count(tmp_path):
    (tmp_path / "secret").write_bytes(b" two\nlines \r\n\n")

    assert Secret.model_validate({"file": str(tmp_path / "secret")}).reveal() == " two\nlines "
