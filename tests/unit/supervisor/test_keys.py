import secrets
from pathlib import Path

import pytest

from pylos.errors import GatewayError
from pylos.supervisor.keys import Keys, hkdf, keys_in_memory, keys_of_folder

VECTORS = {
    "A.1": (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    "A.2": (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    "A.3": (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
}
"""RFC 5869, Appendix A, those with SHA-256: secret, salt, info, what is derived."""


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfc(name: str) -> None:
    secret, salt, info, derived = (bytes.fromhex(each) for each in VECTORS[name])
    assert hkdf(secret, info, len(derived), salt).hex() == derived.hex()


@pytest.mark.parametrize("length", [0, 8161])
def test_no_key_has_such_a_length(length: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 8160"):
        hkdf(b"", b"", length)


def test_each_purpose_has_its_key() -> None:
    keys = keys_in_memory()
    sticky, tickets = keys.derive("sticky"), keys.derive("tickets")
    assert len(sticky.current) == 32
    assert sticky.current != tickets.current
    assert keys.derive("sticky") == sticky
    assert sticky.previous is None


def test_the_secret_before_is_accepted_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    before = keys_of_folder(tmp_path).derive("sticky")
    (tmp_path / "secret").rename(tmp_path / "secret.previous")
    after = keys_of_folder(tmp_path).derive("sticky")
    assert after.previous == before.current
    assert after.current != before.current
    (tmp_path / "secret.previous").unlink()
    assert keys_of_folder(tmp_path).derive("sticky") == (after.current, None)


def test_a_secret_before_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "secret.previous").write_text("x")
    (tmp_path / "secret.previous").chmod(0o600)
    with pytest.raises(GatewayError, match=r"secret.previous is no secret"):
        keys_of_folder(tmp_path)


def test_one_that_died_over_writing_it_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("half")
    assert keys_of_folder(tmp_path).derive("sticky").current
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_keys_are_not_shown() -> None:
    secret = secrets.token_bytes(32)
    assert repr(Keys(secret)) == "Keys(***)"
