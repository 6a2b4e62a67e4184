"""Certificates and keys: what is read, what is refused (P122) and in which words, what is only warned of (P123)."""

from __future__ import annotations

import json
import os
import re
import shutil
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from certificates import Issued, authority, ecdsa, issue, rsa_key
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

import pylos
from pylos.config import Loaded, load, load_text, x509
from pylos.config.diff import changes, rendered
from pylos.config.explain import Asker
from pylos.config.meaning import Meaning
from pylos.config.pem import PemError, blocks_of
from pylos.config.secrets import Veiled
from pylos.errors import ConfigError, Problem
from pylos.supervisor.api.config import shown
from pylos.supervisor.source import Checked

LISTEN = '[listen.https]\nbind = "127.0.0.1:0"\ntls = "shop"\n'
PAIR = '[tls.shop]\ncert = "shop.pem"\nkey = "shop.key"\n'
TWO = '[tls.shop]\ncert = ["a.pem", "b.pem"]\nkey = ["a.key", "b.key"]\n'
PASSPHRASE = "correct horse"  # noqa: S105 - of a test


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority()


@pytest.fixture(scope="module")
def middle(root: Issued) -> Issued:
    return authority("Test Middle", root)


@pytest.fixture(scope="module")
def large() -> Issued:
    """One with an RSA key."""
    return issue("shop.example.com", key=rsa_key())


def loaded(tls: str = PAIR, listen: str = LISTEN) -> Loaded:
    return load_text(listen + tls, "gateway.toml")


def problems(tls: str = PAIR, listen: str = LISTEN) -> list[Problem]:
    try:
        return loaded(tls, listen).warnings
    except ConfigError as error:
        return error.problems


def certificates(found: Loaded, name: str = "shop") -> list[dict[str, object]]:
    held: list[dict[str, object]] = found.table["tls"][name]["certificates"]
    return held


# -- what is read -----------------------------------------------------------------------------------------------------


def test_the_table_has_names_chain_and_key(folder: Path, middle: Issued):
    issued = issue("Shop.example.com", "*.Shop.example.com", "shop.example.com", issuer=middle)
    issued.save(folder, "shop")

    assert certificates(loaded()) == [
        {
            "names": ["shop.example.com", "*.shop.example.com"],
            "chain": issued.pem + middle.pem,
            "key": issued.key_pem,
        }
    ]
    assert loaded().secrets == [["tls", "shop", "certificates", 0, "key"]]


KEYS = {
    "P-256": ecdsa,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": rsa_key,
}


@pytest.mark.parametrize("make", KEYS.values(), ids=KEYS.keys())
def test_these_keys_can_be_used(folder: Path, make: Callable[[], ec.EllipticCurvePrivateKey]):
    issue("shop.example.com", key=make()).save(folder, "shop")

    assert len(certificates(loaded())) == 1


def test_a_key_is_the_same_in_whatever_form(folder: Path, large: Issued):
    large.save(folder, "shop")
    first = certificates(loaded())
    (folder / "shop.key").write_text("a word before it\n" + large.written(PrivateFormat.TraditionalOpenSSL))
    assert certificates(loaded()) == first

    small = issue("shop.example.com")
    small.save(folder, "shop")
    first = certificates(loaded())
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (folder / "shop.key").write_text(parameters + small.written(PrivateFormat.TraditionalOpenSSL))
    assert certificates(loaded()) == first


def test_whether_a_key_is_sound_is_found_out_once(folder: Path, large: Issued, monkeypatch: pytest.MonkeyPatch):
    """And of one that is not, each time."""
    asked: list[bool] = []

    def load_key(data: bytes, password: None, *, unsafe_skip_rsa_key_validation: bool) -> PrivateKeyTypes:
        asked.append(unsafe_skip_rsa_key_validation)
        if unsound:
            raise ValueError
        return load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=unsafe_skip_rsa_key_validation)

    known: dict[bytes, None] = {}
    monkeypatch.setattr(x509, "load_pem_private_key", load_key)
    monkeypatch.setattr(x509, "SOUND_KEYS", known)
    large.save(folder, "shop")
    unsound = [True]
    assert ([one.code for one in problems()], known) == (["P122"], {})
    unsound.clear()
    first = certificates(loaded())
    assert certificates(loaded()) == first
    issue("shop.example.com").save(folder, "shop")
    loaded()
    assert asked == [False, False, True, False]
    assert [len(digest) for digest in known] == [32, 32]

    monkeypatch.setattr(x509, "MOST_SOUND_KEYS", 2)
    issue("shop.example.com").save(folder, "shop")
    before = list(known)
    loaded()
    assert list(known)[:1] == before[1:]
    assert len(known) == 2


@pytest.mark.parametrize("order", ["cert first", "key first"])
def test_a_file_may_hold_both(folder: Path, middle: Issued, order: str):
    issued = issue("shop.example.com", issuer=middle)
    parts = [issued.chain, issued.key_pem] if order == "cert first" else [issued.key_pem, issued.chain]
    (folder / "shop.pem").write_text("".join(parts).replace("\n", "\r\n"))

    assert certificates(loaded('[tls.shop]\ncert = "shop.pem"\n'))[0]["key"] == issued.key_pem


def test_a_key_may_be_a_secret(folder: Path, monkeypatch: pytest.MonkeyPatch):
    issued = issue("shop.example.com")
    issued.save(folder, "shop")
    first = certificates(loaded())
    monkeypatch.setenv("PYLOS_TEST_KEY", issued.key_pem)

    for key in ('{ env = "PYLOS_TEST_KEY" }', '{ file = "shop.key" }', '[{ env = "PYLOS_TEST_KEY" }]'):
        cert = '["shop.pem"]' if key.startswith("[") else '"shop.pem"'
        assert certificates(loaded(f"[tls.shop]\ncert = {cert}\nkey = {key}\n")) == first


def test_a_path_starts_at_the_folder_of_the_file_that_has_it(folder: Path):
    (folder / "conf.d").mkdir()
    (folder / "elsewhere").mkdir()
    issue("shop.example.com").save(folder / "conf.d", "shop")
    (folder / "conf.d" / "tls.toml").write_text(PAIR)
    (folder / "gateway.toml").write_text('include = ["conf.d/*.toml"]\n' + LISTEN)
    os.chdir(folder / "elsewhere")

    found = load("../gateway.toml")
    assert [path.name for path in found.watch] == ["gateway.toml", "conf.d", "tls.toml"]
    assert [path.name for path in found.material] == ["shop.pem", "shop.key"]
    assert all(path.exists() for path in [*found.watch, *found.material])


def test_a_certificate_of_addresses_has_no_names(folder: Path):
    """Who asks for an address sends no SNI: it is shown where it is the default."""
    issue("10.0.0.1").save(folder, "shop")

    assert certificates(loaded())[0]["names"] == []


def test_the_twin_reads_them_too(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    config = pylos.Config(
        listen={"https": pylos.Listen(bind="127.0.0.1:0", tls="shop")},
        tls={"shop": pylos.Tls(cert=str(folder / "shop.pem"), key=pylos.Secret(file="shop.key"))},
    )

    assert certificates(config.loaded) == certificates(loaded())


def test_a_question_with_https_reaches_the_listener_that_speaks_tls(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    plain = '[listen.a]\nbind = "127.0.0.1:8080"\n[listen.b]\nbind = "127.0.0.1:8443"\ntls = "shop"\n'
    asker = Asker.of(loaded(PAIR, plain))

    told = [asker.ask("GET", url) for url in ("https://a/", "http://a/", "/", "https://a:8080/", "http://a:8443/")]
    assert [(one.listener, one.request.scheme) for one in told] == [
        ("b", "https"),
        ("a", "http"),
        ("a", "http"),
        ("a", "https"),  # as a proxy with TLS in front of it would ask
        ("b", "https"),
    ]


# -- what is refused --------------------------------------------------------------------------------------------------


def refused(part: str, message: str, hint: str = "", tls: str = PAIR) -> None:
    """There is one error, at the value of this key, with this message and hint."""
    (problem,) = problems(tls)
    assert (problem.code, problem.severity) == ("P122", "error"), problem.render()
    assert (problem.message, problem.place.marked) == (message, f'"{part}"')
    assert hint in (problem.hint or "")
    assert "PRIVATE" not in problem.render().replace("`PRIVATE KEY`", "")


def test_what_is_no_file_or_cannot_be_read(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    (folder / "shop.key").unlink()
    refused("shop.key", "`shop.key` cannot be read: No such file or directory", "starts at the folder")
    (folder / "shop.key").mkdir()
    refused("shop.key", "`shop.key` is no file")
    (folder / "shop.pem").write_bytes(b" \n")
    (folder / "shop.key").rmdir()
    issue("shop.example.com").save(folder, "other")
    shutil.copy("other.key", "shop.key")
    refused("shop.pem", "`shop.pem` is empty")
    (folder / "shop.pem").write_bytes(b"x" * (1 << 20) + b"y")
    refused("shop.pem", "`shop.pem` is larger than 1 MiB, so it holds no certificate")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads whatever it likes")
def test_what_may_not_be_read(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    (folder / "shop.key").chmod(0)
    refused("shop.key", "`shop.key` cannot be read: Permission denied", "[pylos] user")


CUT_OFF = "the block that begins here has no `-----END CERTIFICATE-----`: the file is cut off"
NO_CERTIFICATE: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "garbage": (lambda _: ["\x00\x01garbage\n"], " holds nothing in PEM"),
    "cut off": (lambda lines: ["subject=CN = x\n", *lines[:4]], f", line 2: {CUT_OFF}"),
    "a line is missing": (lambda lines: lines[:3] + lines[4:], ", line 1: a certificate that cannot be read"),
    "half a line is missing": (
        lambda lines: [*lines[:3], lines[3][:31] + "\n", *lines[4:]],
        ", line 1: a part of the block `CERTIFICATE` that begins here is missing",
    ),
    "a word in it": (
        lambda lines: [*lines[:2], "<<<<<<< HEAD\n", *lines[2:]],
        ", line 3: no line of PEM: it has letters, digits, `+`, `/` and at the end `=`",
    ),
    "two begins": (lambda lines: lines[:3] + lines, f", line 1: {CUT_OFF}"),
    "no begin": (lambda lines: ["\n", *lines[-2:]], ", line 3: the end of a block `CERTIFICATE` that does not begin"),
    "a mark in a line": (lambda lines: ["x " + lines[0], *lines[1:]], ", line 1: a mark of PEM that cannot be read"),
    "a request": (
        lambda lines: [line.replace("CERTIFICATE", "CERTIFICATE REQUEST") for line in lines],
        " holds no certificate, but `CERTIFICATE REQUEST`",
    ),
    "a key": (
        lambda _: issue("shop.example.com").key_pem.splitlines(keepends=True),
        " holds no certificate, but `PRIVATE KEY`",
    ),
}
"""By name: what is done to the lines of a certificate, and the message."""


@pytest.mark.parametrize("spoil, message", NO_CERTIFICATE.values(), ids=NO_CERTIFICATE.keys())
def test_what_is_no_certificate(folder: Path, spoil: Callable[[list[str]], list[str]], message: str):
    issued = issue("shop.example.com")
    issued.save(folder, "shop")
    (folder / "shop.pem").write_text("".join(spoil(issued.pem.splitlines(keepends=True))))

    (problem,) = problems()
    assert problem.code == "P122"
    assert problem.message == "`shop.pem`" + message
    assert [str(place) for place, _ in problem.also] == [
        f"shop.pem:{line}" for line in re.findall(r"line (\d+)", message)
    ]


SOUND = issue("shop.example.com", issuer=authority())


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4),
    st.sampled_from(["key", "cert"]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_bytes_there_are_they_are_read_or_refused(changed: list[tuple[int, int]], what: str):
    of_key = what == "key"
    data = bytearray(SOUND.key_der if of_key else SOUND.certificate.public_bytes(Encoding.DER))
    for place, value in changed:
        data[place % len(data)] = value
    label = "PRIVATE KEY" if of_key else "CERTIFICATE"
    blocks = blocks_of(f"-----BEGIN {label}-----\n{b64encode(data).decode()}\n-----END {label}-----\n")
    with suppress(PemError):
        if of_key:
            x509.key_text(x509.key_of(blocks))
        else:
            chain = x509.chain_of(blocks)
            assert x509.told_apart(x509.chain_text(chain))
            assert len(list(x509.worries(chain))) <= 1


def test_what_is_binary(folder: Path):
    issued = issue("shop.example.com")
    issued.save(folder, "shop")
    (folder / "shop.pem").write_bytes(issued.certificate.public_bytes(Encoding.DER))

    refused("shop.pem", "`shop.pem` is binary (DER or PKCS #12)", "openssl x509 -inform der")


def test_what_is_no_key(folder: Path, large: Issued):
    issued = issue("shop.example.com")
    issued.save(folder, "shop")
    file = folder / "shop.key"
    for text, message, hint in [
        (issued.pem, "`shop.key` holds no private key, but `CERTIFICATE`", ""),
        (issued.key_pem * 2, "`shop.key`, line 6: a second key", "the key of one certificate"),
        (
            issued.key_pem.replace("\nMI", "\nMJ"),
            "`shop.key`, line 1: a key that cannot be read",
            "RSA of 2,048 to 8,192 bits",
        ),
        (
            issued.written(passphrase=PASSPHRASE),
            "`shop.key`, line 1: a key that needs a passphrase",
            "write it without: openssl pkey",
        ),
        (
            large.written(PrivateFormat.TraditionalOpenSSL, PASSPHRASE),
            "`shop.key`, line 1: a key that needs a passphrase",
            "write it without: openssl pkey",
        ),
        (issued.written(PrivateFormat.OpenSSH), "`shop.key`, line 1: a key of OpenSSH", "ssh-keygen -p -m pem"),
    ]:
        file.write_text(text)
        refused("shop.key", message, hint)


@pytest.mark.parametrize(
    "make, kind",
    [
        (lambda: rsa_key(1024), "RSA 1024"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "ECDSA secp256k1"),
        (ed448.Ed448PrivateKey.generate, "Ed448"),
        (lambda: dsa.generate_private_key(2048), "DSA"),
    ],
    ids=["RSA 1024", "secp256k1", "Ed448", "DSA"],
)
def test_a_kind_of_key_that_cannot_be_used(
    folder: Path, root: Issued, make: Callable[[], ed448.Ed448PrivateKey], kind: str
):
    odd, sound = issue("shop.example.com", key=make(), issuer=root), issue("shop.example.com")
    hint = "RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be used"
    odd.save(folder, "shop")
    sound.save(folder, "sound")
    shutil.copy("sound.key", "shop.key")
    refused("shop.pem", f"`shop.pem`, line 1: a certificate with a key that cannot be used: {kind}", hint)

    (folder / "shop.key").write_text(odd.key_pem)
    shutil.copy("sound.pem", "shop.pem")
    refused("shop.key", f"`shop.key`, line 1: a key that cannot be used: {kind}", hint)


def test_a_certificate_that_is_not_for_servers(folder: Path, root: Issued):
    for issued, message, hint in [
        (issue(called="shop.example.com"), "a certificate without names (subjectAltName)", "have it issued anew"),
        (authority(), "the certificate of an authority (`CA:TRUE`), not of a server", "basicConstraints = CA:FALSE"),
        (
            issue("a.example", uses=[ExtendedKeyUsageOID.CLIENT_AUTH]),
            "a certificate that is not for servers",
            "serverAuth",
        ),
    ]:
        issued.save(folder, "shop")
        refused("shop.pem", f"`shop.pem`, line 1: {message}", hint)
    assert root


def test_a_chain_in_the_wrong_order_or_with_another_certificate(folder: Path, root: Issued, middle: Issued):
    low = authority("Test Low", middle)
    issued = issue("shop.example.com", issuer=low)
    issued.save(folder, "shop")
    assert problems() == []
    length = {one: len(one.pem.splitlines()) for one in (issued, low, middle)}

    def says(parts: list[Issued], line: int, message: str, hint: str) -> None:
        (folder / "shop.pem").write_text("".join(part.pem for part in parts))
        refused("shop.pem", f"`shop.pem`, line {line}: {message}", hint)

    first, second = 1 + length[issued], 1 + length[issued] + length[low]
    says(
        [low, issued, middle],
        1,
        "the chain begins with the certificate of an authority",
        f"that is the one on line {1 + length[low]}",
    )
    says(
        [issued, middle, low],
        first,
        "not the certificate that has issued the one on line 1",
        f"that is the one on line {1 + length[issued] + length[middle]}",
    )
    says(
        [issued, authority("Foreign")],
        first,
        "a certificate that has not issued the one on line 1",
        "the one that has is called `CN=Test Low`",
    )
    says(
        [issued, authority("Test Low", middle)],
        first,
        "a certificate that has not issued the one on line 1",
        "the one that has is called `CN=Test Low`",
    )
    says([issued, low, low], second, "a certificate that stands here twice", "take it out")
    (folder / "shop.pem").write_text(issued.pem + low.pem + middle.pem + root.pem)
    assert problems() == []


def test_a_key_of_another_certificate(folder: Path):
    a, b = issue("a.example"), issue("b.example")
    a.save(folder, "a")
    b.save(folder, "b")
    assert problems(TWO) == []

    told = [
        (one.path, one.message, one.hint) for one in problems(TWO.replace('["a.key", "b.key"]', '["b.key", "a.key"]'))
    ]
    assert told == [
        (
            ("tls", "shop", "key", 0),
            "`b.key` is not the key of the certificate in `a.pem`",
            "`b.key` is the key of `b.pem`; the key of `a.pem` is `a.key`",
        ),
        (
            ("tls", "shop", "key", 1),
            "`a.key` is not the key of the certificate in `b.pem`",
            "`a.key` is the key of `a.pem`; the key of `b.pem` is `b.key`",
        ),
    ]
    issue("c.example").save(folder, "c")
    (problem,) = problems(TWO.replace("b.key", "c.key"))
    assert problem.hint == "take the key with which this certificate was asked for: both are renewed together"
    (folder / "shop.pem").write_text(a.pem + b.key_pem)
    (problem,) = problems('[tls.shop]\ncert = "shop.pem"\n')
    assert problem.message == "`shop.pem` has a certificate and a key that do not belong together"


def test_a_name_that_would_mean_something_else(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    found = problems(PAIR.replace("tls.shop", "tls.strict"), LISTEN.replace('"shop"', '"strict"'))

    assert [(one.code, one.path, one.message) for one in found] == [
        ("P104", ("tls", "strict"), "`strict` cannot be a name")
    ]


def test_one_mistake_is_told_once(folder: Path):
    """Whatever else depends on it: listeners that show it, what `sni` names, a key that the file would have too."""
    issue("a.example").save(folder, "a")
    listen = LISTEN.replace('"shop"', '["shop", "a"]') + 'sni = "shop"\n'
    a = '[tls.a]\ncert = "a.pem"\nkey = "a.key"\n'

    for tls in (PAIR, PAIR.replace('key = "shop.key"\n', ""), PAIR.replace("cert", "crt"), PAIR + 'profile = "old"\n'):
        assert len(problems(tls.replace("shop.key", "a.key") + a, listen)) == 1, tls


def test_names_that_two_of_one_listener_have(folder: Path):
    issue("shop.example.com").save(folder, "shop")
    issue("blog.example.com", "Shop.example.com").save(folder, "blog")
    listen = LISTEN.replace('"shop"', '["shop", "blog"]') + 'sni = "strict"\n'

    (problem,) = problems(PAIR + PAIR.replace("shop", "blog"), listen)
    assert (problem.code, problem.path) == ("P211", ("listen", "https", "tls", 1))
    assert problem.message == "`shop.example.com` is a name of tls `shop` already"
    assert problem.place.marked == '"blog"'


@pytest.mark.parametrize(
    "listen, code, path, message",
    [
        ('tls = "shop"\nsni = "blog"\n', "P211", ("sni",), "`blog` is no tls of this listener"),
        ('tls = "other"\n', "P107", ("tls",), "there is no tls `other`"),
        ('tls = ["shop", "other"]\nsni = "strict"\n', "P107", ("tls", 1), "there is no tls `other`"),
        ('sni = "strict"\n', "P108", ("sni",), "does nothing without `tls`"),
        (
            'tls = ["shop", "blog"]\n',
            "P105",
            ("tls",),
            "several names, and no `sni` that says who answers clients that ask for none of theirs",
        ),
    ],
)
def test_what_a_listener_says_about_it(folder: Path, listen: str, code: str, path: tuple[str, ...], message: str):
    for name in ("shop", "blog"):
        issue(f"{name}.example.com").save(folder, name)
    tls = PAIR + PAIR.replace("shop", "blog")

    (problem,) = problems(tls, '[listen.https]\nbind = "127.0.0.1:0"\n' + listen)
    assert (problem.code, problem.path, problem.message) == (code, ("listen", "https", *path), message)


# -- what is warned of ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days, since, told",
    [
        (90, 1, None),
        (15, 75, None),
        (13.5, 76, "expires in 13 days, on "),
        (1.5, 88, "expires in one day, on "),
        (0.5, 88, "expires in less than a day, on "),
        (4, 2, None),  # it is made for six days
        (1.5, 4.5, "expires in one day, on "),
        (-1, 90, "has expired on "),
        (90, -1, "is not valid before "),
    ],
)
def test_a_certificate_that_does_not_hold_or_not_for_long(folder: Path, days: float, since: float, told: str | None):
    issue("shop.example.com", days=days, since=since).save(folder, "shop")
    found = problems()

    assert [one.code for one in found] == ([] if told is None else ["P123"])
    assert [one for one in found if f"the certificate in `shop.pem`, line 1, {told}" not in one.message] == []
    assert [one.severity for one in found] == ["warning"] * len(found)
    assert problems(PAIR + 'silence = ["P123"]\n') == []


# -- what is told, and what is not ------------------------------------------------------------------------------------


def test_nothing_shows_a_key(folder: Path):
    issued = issue("shop.example.com")
    issued.save(folder, "shop")
    found = loaded()
    checked = Checked(found.table, tests=found.tests, secrets=found.secrets)
    lines = issued.key_pem.splitlines()[1:-1]

    told = [repr(found), repr(checked), json.dumps(shown(json.loads(json.dumps(checked.document)))), checked.digest]
    told += [repr(found.config), str(found.compiled)]
    assert [text for text in told if any(line in text for line in [*lines, "PRIVATE KEY"])] == []
    assert repr(Veiled(issued.key_pem)) == "***"


def test_a_renewed_certificate_is_told_by_what_it_is(folder: Path, middle: Issued):
    old = issue("shop.example.com", issuer=middle)
    old.save(folder, "shop")
    before = Meaning.of(loaded())
    new = issue("shop.example.com", issuer=middle)
    new.save(folder, "shop")
    after = Meaning.of(loaded())

    for one, other in ((before, after), (Meaning.of(loaded("", LISTEN.replace('tls = "shop"\n', ""))), after)):
        lines = "\n".join(
            [*rendered(changes(one, other)), json.dumps([each.as_json() for each in changes(one, other)])]
        )
        assert f"serial {new.serial:x}, sha256 " in lines
        assert "[tls.shop]" in lines
        assert [line for line in new.key_pem.splitlines()[1:] if line in lines] == []
        assert "*" not in lines
    assert f"serial {old.serial:x}, sha256 " in "\n".join(rendered(changes(before, after)))


def test_another_certificate_behind_it_is_told_too(folder: Path, middle: Issued):
    issued = issue("shop.example.com", issuer=middle)
    issued.save(folder, "shop")
    before = Meaning.of(loaded())
    (folder / "shop.pem").write_text(issued.pem)

    (change,) = changes(before, Meaning.of(loaded()))
    assert [key.key for key in change.keys] == ["cert"]


def test_what_is_watched_is_there_when_it_is_refused_too(folder: Path):
    (folder / "gateway.toml").write_text(LISTEN + PAIR)
    with pytest.raises(ConfigError) as caught:
        load("gateway.toml")

    assert [str(file) for file in caught.value.files] == ["gateway.toml", "shop.pem", "shop.key"]
