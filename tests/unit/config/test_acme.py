"""Certificates that come by themselves: what is asked for, what is told of it, and what is never shown."""

import json
from pathlib import Path

import pytest
from certificates import authority, issue
from cryptography.x509.oid import ExtendedKeyUsageOID

import pylos
from pylos.config import load_text
from pylos.config.acme import lower_table
from pylos.config.diff import changes, rendered
from pylos.config.explain import Asker
from pylos.config.meaning import Meaning
from pylos.config.reread import read_again, with_material
from pylos.errors import ConfigError, PylosError
from pylos.model import Acme
from pylos.model.acme import host_and_port
from pylos.model.domain import normal
from pylos.supervisor.api.config import shown
from pylos.supervisor.history import History
from pylos.supervisor.source import read
from pylos.supervisor.wanted import wanted_of

EAB, TSIG = "c2VjcmV0LW9mLXRoZS1hY2NvdW50", "c2VjcmV0IG9mIHRoZSB6b25l"
LISTEN = '[listen.https]\nbind = "127.0.0.1:0"\ntls = "shop"\n'
DOCUMENT = (
    LISTEN
    + """\
[tls.shop]
acme = "letsencrypt"
domains = ["Shop.Example.com", "*.example.com", "shop.example.com"]
[acme.letsencrypt]
eab = { key_id = "kid-1", key = { env = "PYLOS_TEST_EAB" } }
fallback = ["other"]
challenges = ["dns-01"]
dns = { update = { server = "[2001:db8::53]:5353", key_name = "gate", key = { env = "PYLOS_TEST_TSIG" } }, wait = "0s" }
[acme.other]
directory = "https://ca.example.com/directory"
"""
)


@pytest.fixture(autouse=True)
def secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYLOS_TEST_EAB", EAB)
    monkeypatch.setenv("PYLOS_TEST_TSIG", TSIG)


def loaded(text=DOCUMENT):
    return load_text(text, "x.toml")


def refused(text):
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    return [(problem.code, problem.path) for problem in caught.value.problems]


def test_a_certificate_stands_in_without_network_and_storage(tmp_path):
    (certificate,) = loaded().table["tls"]["shop"]["certificates"]

    assert certificate == {"names": ["shop.example.com", "*.example.com"], "chain": "", "key": ""}
    assert loaded().pairs == {"shop": []}
    assert list(tmp_path.iterdir()) == []


def test_what_is_wanted_is_what_the_client_takes():
    found = wanted_of(loaded().acme, "shop", Path("here"))

    assert (found.name, found.domains) == ("shop", ("shop.example.com", "*.example.com"))
    assert [one.name for one in found.authorities] == ["letsencrypt", "other"]
    assert found.authorities[0].eab.hmac_key == EAB
    assert found.authorities[1].directory == "https://ca.example.com/directory"
    assert (found.dns.by.server, found.dns.by.port, found.dns.by.key_secret) == ("2001:db8::53", 5353, TSIG)
    assert (found.dns.by.ttl, found.dns.patience) == (60, 0.0)


@pytest.mark.parametrize(
    "dns, by",
    [
        ('{ command = ["record", "x"], timeout = "5s" }', ("argv", ("record", "x"))),
        ('{ call = "records:change", timeout = "5s" }', ("where", "records:change")),
        ('{ call = "records:change", timeout = "5s" }', ("folder", Path("here"))),
    ],
)
def test_each_way_to_make_records(dns, by):
    acme = loaded(DOCUMENT.replace("dns = { update", f"dns = {dns}\n# {{ update")).acme
    found = wanted_of(acme, "shop", Path("here")).dns.by

    assert getattr(found, by[0]) == by[1]
    assert found.timeout == 5.0


@pytest.mark.parametrize(
    "server, found",
    [
        ("10.0.0.53", ("10.0.0.53", 53)),
        ("ns.example.com:5353", ("ns.example.com", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_a_name_server_has_a_port_or_not(server, found):
    assert host_and_port(server) == found


@pytest.mark.parametrize("server", ["ns.example.com:dns", "ns.example.com:0", "[2001:db8::53]x", "10.0.0.53:70000"])
def test_a_port_is_a_number(server):
    assert refused(DOCUMENT.replace("[2001:db8::53]:5353", server)) == [
        ("P104", ("acme", "letsencrypt", "dns", "update", "server"))
    ]


@pytest.mark.parametrize(
    "said, found",
    [
        ("Example.COM.", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("_dmarc.example.com", "_dmarc.example.com"),
    ],
)
def test_a_domain_has_one_spelling(said, found):
    assert normal(said) == found == normal(found)


@pytest.mark.parametrize(
    "said", ["", "a b", "*", "*.com", "x.*.com", "-a.com", "a..b", "a" * 64 + ".com", "ex_ample-.de"]
)
def test_what_is_no_domain(said):
    with pytest.raises(ValueError, match="domain"):
        normal(said)
    assert refused(DOCUMENT.replace("Shop.Example.com", said)) == [("P124", ("tls", "shop", "domains", 0))]


def test_a_wildcard_is_proven_by_dns_alone():
    text = DOCUMENT.replace('challenges = ["dns-01"]', "").replace("dns = {", "# {")

    assert refused(text) == [("P124", ("tls", "shop", "domains", 1))]


def test_keys_that_cannot_be_keys(monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_EAB", "no base64!")
    monkeypatch.setenv("PYLOS_TEST_TSIG", "no base64!")

    assert refused(DOCUMENT) == [
        ("P114", ("acme", "letsencrypt", "eab", "key")),
        ("P114", ("acme", "letsencrypt", "dns", "update", "key")),
    ]


def test_no_key_is_shown():
    before, after = loaded(), loaded(DOCUMENT.replace("kid-1", "kid-2"))
    checked, history = read(before), History()
    entry, _ = history.entry(1, checked, "start")
    history.add(entry)
    told = [
        json.dumps(shown(entry.document)),
        *rendered(changes(Meaning.of(before), Meaning.of(after))),
        repr(checked),
        repr(before),
        repr(history._entries),
        str(wanted_of(before.acme, "shop", Path())),
    ]

    assert before.secrets[-2:] == [
        ["acme", "tables", "letsencrypt", "eab", "key"],
        ["acme", "tables", "letsencrypt", "dns", "update", "key"],
    ]
    assert any("kid-2" in line for line in told)
    assert [line for line in told if EAB in line or TSIG in line] == []
    assert Asker.of(before).ask is not None
    assert entry.checked.acme == before.acme


def test_a_key_that_changes_is_told_as_one(monkeypatch):
    before = loaded()
    monkeypatch.setenv("PYLOS_TEST_EAB", "YW5vdGhlci1zZWNyZXQ")
    monkeypatch.setenv("PYLOS_TEST_TSIG", "YW5vdGhlciBzZWNyZXQx")
    after = loaded()
    (change,) = changes(Meaning.of(before), Meaning.of(after))

    assert change.path == ("acme", "letsencrypt")
    told = [(key.key, key.before, key.after) for key in change.keys]
    assert told == [("eab.key", "***", "***"), ("dns.update.key", "***", "***")]
    assert read(before).digest != read(after).digest


def test_what_changes_is_told_in_the_words_of_the_file():
    after = loaded(DOCUMENT.replace('"Shop.Example.com"', '"blog.example.com"').replace('wait = "0s"', 'wait = "1m"'))

    assert rendered(changes(Meaning.of(loaded()), Meaning.of(after))) == [
        "~ [tls.shop]",
        '      domains: + "blog.example.com"',
        "~ [acme.letsencrypt]",
        '      dns.wait: "0s" -> "1m"',
    ]


def test_from_a_file_to_an_authority_is_told(tmp_path):
    issue("shop.example.com").save(tmp_path, "shop")
    files = loaded(LISTEN + '[tls.shop]\ncert = "shop.pem"\nkey = "shop.key"\n')
    (change, *_) = changes(Meaning.of(files), Meaning.of(loaded()))

    assert change.path == ("tls", "shop")
    assert [key.key for key in change.keys] == ["cert", "acme", "domains"]


def test_the_twin_says_the_same():
    made = pylos.Config(
        listen={"https": pylos.Listen(bind="127.0.0.1:0", tls="shop")},
        tls={"shop": pylos.Tls(acme="local", domains=["Shop.example.com"])},
    ).loaded

    assert made.acme == {"tables": {}, "tls": {"shop": {"acme": "local", "domains": ["shop.example.com"]}}}
    assert lower_table(Acme.model_validate({}))["directory"].startswith("https://acme-v02.api.letsencrypt.org/")


# -- certificates of files are read again -----------------------------------------------------------------------------

FILES = """\
[listen.https]
bind = "127.0.0.1:0"
tls = ["shop", "automatic"]
sni = "strict"
[tls.shop]
cert = ["shop.pem", "both.pem"]
key = ["shop.key", { file = "both.pem" }]
client = { ca = "root.pem", mode = "optional" }
[tls.automatic]
acme = "local"
domains = ["automatic.example.com"]
client = { ca = "root.pem" }
[upstream.web]
targets = ["https://10.0.0.1"]
tls = { ca = "root.pem", cert = "ours.pem", key = "ours.key" }
"""


def made(folder):
    """Make all that the document names, and give what is in it."""
    root = authority()
    root.save(folder, "root")
    issued = {name: issue(f"{name}.example.com", issuer=root) for name in ("shop", "both")}
    issued["shop"].save(folder, "shop")
    (folder / "both.pem").write_text(issued["both"].pem + issued["both"].key_pem)
    issue(issuer=root, called="ours", uses=[ExtendedKeyUsageOID.CLIENT_AUTH]).save(folder, "ours")
    return issued


def test_all_that_is_named_is_read_again(tmp_path):
    made(tmp_path)
    before = loaded(FILES)
    made(tmp_path)
    (tmp_path / "x.toml").write_text("what it says now does not count")
    found = read_again(before.named, "x.toml")

    assert with_material(before.table, found.material) == loaded(FILES).table != before.table
    assert list(found.material.files) == before.material
    assert read(before).digest == read(loaded(FILES)).digest


def test_other_files_make_another_document(tmp_path):
    made(tmp_path)
    before = read(loaded(FILES))
    (tmp_path / "other.pem").write_text((tmp_path / "root.pem").read_text())

    assert read(loaded(FILES.replace('"root.pem", mode', '"other.pem", mode'))).digest != before.digest


def test_what_is_wrong_with_them_is_told(tmp_path):
    made(tmp_path)
    before = loaded(FILES)
    (tmp_path / "shop.key").write_text("nothing")
    with pytest.raises(ConfigError) as caught:
        read_again(before.named, "x.toml")
    assert [(problem.code, problem.path) for problem in caught.value.problems] == [("P122", ("tls", "shop", "key", 0))]
    assert tmp_path / "shop.key" in [tmp_path / file for file in caught.value.files]

    (tmp_path / "both.pem").unlink()
    with pytest.raises(PylosError, match=r"`both.pem` cannot be read: No such file"):
        read_again(before.named, "x.toml")
