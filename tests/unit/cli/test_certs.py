"""`pylos certs`."""

import json

import pytest
from certificates import authority, issue, rsa_key
from typer.testing import CliRunner

from pylos.cli import app

DOCUMENT = """\
[listen.https]
bind = "127.0.0.1:443"
tls = ["shop", "blog"]
sni = "strict"
[tls.shop]
cert = ["shop.pem", "rsa.pem"]
key = ["shop.key", "rsa.key"]
[tls.blog]
cert = "blog.pem"
key = "blog.key"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(DOCUMENT)
    return tmp_path


def run(arguments=()):
    done = CliRunner().invoke(app, ["certs", *arguments])
    return done.exit_code, done.stdout


def test_it_lists_them_all_as_they_are_now(folder):
    root = authority()
    issue("shop.example.com", "*.shop.example.com", issuer=root).save(folder, "shop")
    issue("shop.example.com", issuer=root, key=rsa_key()).save(folder, "rsa")
    old = issue("blog.example.com", issuer=root, days=-2, since=30)
    old.save(folder, "blog")
    code, out = run()

    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["TLS", "NAMES", "KEY", "EXPIRES", "FROM", "NOTE"]
    told = [(row[0], row[1], row[2:4], row[5]) for row in rows[1:]]
    assert told == [
        ("blog", "blog.example.com", ["ECDSA", "P-256"], "blog.pem"),
        ("shop", "shop.example.com,*.shop.example.com", ["ECDSA", "P-256"], "shop.pem"),
        ("shop", "shop.example.com", ["RSA", "2048"], "rsa.pem"),
    ]
    assert "has expired on" in out.splitlines()[1]

    first, *_ = json.loads(run(["--json"])[1])
    assert {key: first[key] for key in ("tls", "file", "listeners", "names", "key", "issuer", "serial")} == {
        "tls": "blog",
        "file": "blog.pem",
        "listeners": ["https"],
        "names": ["blog.example.com"],
        "key": "ECDSA P-256",
        "issuer": "CN=Test Root",
        "serial": f"{old.serial:x}",
    }
    assert first["not_after"].endswith("Z")
    assert len(first["sha256"]) == 64
    assert first["note"].startswith("has expired on ")


def test_what_is_wrong_is_told_as_by_check():
    code, out = run()

    assert code == 1
    assert out == ""


def test_there_may_be_none(folder):
    (folder / "gateway.toml").write_text('[listen.http]\nbind = "127.0.0.1:0"\n')

    assert run() == (0, "TLS  NAMES  KEY  EXPIRES  FROM\n")
    assert json.loads(run(["--json"])[1]) == []
