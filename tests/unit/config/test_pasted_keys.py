"""A key that was pasted into a document, or that a variable holds: it is refused, and nothing that is told has it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import issue

import pylos
from pylos.cli import reports
from pylos.config import load_text
from pylos.config.problem_json import as_json
from pylos.errors import ConfigError, Problem
from pylos.pasted import without_blocks, without_keys

LISTEN = '[listen.https]\nbind = "127.0.0.1:0"\ntls = "shop"\n'
PEM = issue("shop.example.com").key_pem
BODY = "".join(PEM.splitlines()[1:-1])
FORMS = {
    "as it is": PEM,
    "on one line": PEM.replace("\n", " ").strip(),
    "with escapes in it": PEM.strip().replace("\n", r"\n"),
    "cut off": "\n".join(PEM.splitlines()[:2]),
    "without marks": BODY,
    "in base64 once more": b64encode(PEM.encode()).decode(),
}
AT = {
    "tls": '[tls.shop]\ncert = "shop.pem"\nkey = VALUE\n',
    "several": '[tls.shop]\ncert = ["shop.pem", "b.pem"]\nkey = ["shop.key", VALUE]\n',
    "secret": '[tls.shop]\ncert = "shop.pem"\nkey = { env = VALUE }\n',
    "secret's file": '[tls.shop]\ncert = "shop.pem"\nkey = { file = VALUE }\n',
    "upstream": '[upstream.web]\ntargets = ["https://10.0.0.1"]\ntls = { cert = "shop.pem", key = VALUE, what = 1 }\n',
    "defaults": '[defaults.upstream]\ntls = { cert = "shop.pem", key = VALUE, what = 1 }\n',
    "cert": "[tls.shop]\ncert = VALUE\n",
    "certs": "[tls.shop]\ncert = [VALUE]\n",
    "ca": '[tls.shop]\ncert = "shop.pem"\nclient = { ca = VALUE, what = 1 }\n',
    "crl": '[tls.shop]\ncert = "shop.pem"\nclient = { ca = "shop.pem", crl = ["a", VALUE], what = 1 }\n',
}


def refused(document: str, name: str = "gateway.toml", environ: dict[str, str] | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_text(document, name, environ=environ or {})
    return caught.value.problems


def told(problems: list[Problem]) -> str:
    """Every form in which problems are told, and whatever else goes with one of them to another process."""
    forms = [str(ConfigError(problems)), json.dumps([as_json(one) for one in problems]), repr(problems)]
    forms += [*reports.github(problems), json.dumps(reports.gitlab(problems)), json.dumps(reports.sarif(problems))]
    return "\n".join(forms)


def parts(text: str) -> Iterator[str]:
    """Give whatever would give a part of a key away."""
    yield from (BODY[at : at + 12] for at in range(0, len(BODY) - 12, 4))
    yield from (text[at : at + 12] for at in range(28, len(text) - 12, 4) if "----" not in text[at : at + 12])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("written", ["in the document", "in a variable", "in JSON"])
def test_no_part_of_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, at: str, written: str):
    monkeypatch.chdir(tmp_path)
    issue("shop.example.com").save(tmp_path, "shop")
    value = FORMS[form]
    if written == "in a variable":
        problems = refused(LISTEN + AT[at].replace("VALUE", '"${TLS_KEY}"'), environ={"TLS_KEY": value})
    elif written == "in the document":
        quoted = f"'''{value}'''" if "\n" in value and "upstream" not in at else json.dumps(value)
        problems = refused(LISTEN + AT[at].replace("VALUE", quoted))
    else:
        tls = {"cert": "shop.pem", "key": value, "what": 1}
        problems = refused(
            json.dumps({"listen": {"https": {"bind": "127.0.0.1:0", "tls": "a"}}, "tls": {"a": tls}}), "a.json"
        )
    everything = told(problems)

    assert [part for part in parts(value) if part in everything] == []
    said = [one.message for one in problems if "itself stands where its" in one.message]
    assert len(said) == 1, everything


def test_the_hint_names_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (problem, *_) = refused(LISTEN + AT["tls"].replace("VALUE", '"${TLS_KEY}"'), environ={"TLS_KEY": PEM})

    assert (problem.code, problem.path) == ("P122", ("tls", "shop", "key"))
    assert 'key = { env = "TLS_KEY" }' in (problem.hint or "")


def test_a_call_in_python_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    listen = pylos.Listen(bind="127.0.0.1:0", tls="shop")
    with pytest.raises(ConfigError) as caught:
        pylos.Config(listen={"https": listen}, tls={"shop": pylos.Tls(cert="shop.pem", key=PEM)})

    assert "the key itself stands" in str(caught.value)
    assert [part for part in parts(PEM) if part in told(caught.value.problems)] == []


@pytest.mark.parametrize("name", ["a\nb.pem", "a.pem\n", "a\r", "a\0b"])
@pytest.mark.parametrize("at", [at for at in AT if "secret" not in at])
def test_names_that_no_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: str):
    monkeypatch.chdir(tmp_path)
    issue("shop.example.com").save(tmp_path, "shop")
    problems = refused(LISTEN + AT[at].replace("VALUE", json.dumps(name)))

    assert "no file has a name with a line end or a NUL in it" in [one.message for one in problems]


@pytest.mark.parametrize("name", ["M" * 59, f"certs/{'M' * 40}/shop.pem", "begin.pem", "M" * 80 + ".pem", "-BEGIN"])
def test_a_name_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    problems = refused(LISTEN + AT["tls"].replace("VALUE", json.dumps(name)))

    assert f"`{name}` cannot be read: No such file or directory" in [one.message for one in problems]


@pytest.mark.parametrize(
    "around",
    [
        'key = "KEY"\n',  # no line ends in there
        'key = """KEY',
        "key = '''\nKEY\\",
        "key = KEY\n",
        'key = """\nKEY"""x\n',
        'key = """\nKEY"""\nkey = 1\n',
    ],
)
def test_what_is_no_toml_does_not_show_it_either(around: str):
    problems = refused("[tls.shop]\n" + around.replace("KEY", PEM))

    assert [part for part in parts(PEM) if part in told(problems)] == []


def test_what_is_no_json_does_not_show_it_either():
    problems = refused('{"tls": {"shop": {"key": "' + PEM, "gateway.json")

    assert [part for part in parts(PEM) if part in told(problems)] == []


@pytest.mark.parametrize(
    "text, left",
    [
        ("a -----BEGIN X-----\nabc\n-----END X----- b", "a *******************\n***\n*************** b"),
        ("key = '-----BEGIN X-----' # c", "key = '*****************' # c"),
        ("-----BEGIN X-----\ncert = 1", "*****************\ncert = 1"),
        (f"-----BEGIN X-----\n{'a' * 16}\nb", f"*****************\n{'*' * 16}\nb"),
        ("no -----END X-----", "no -----END X-----"),
    ],
)
def test_the_rest_of_a_text_stays_where_it_is(text: str, left: str):
    assert without_blocks(text).replace("*", "") == left.replace("*", "")
    assert [len(line) for line in without_blocks(text).split("\n")] == [len(line) for line in text.split("\n")]
    assert without_keys("x" + "M" * 60 + "= M") == "x" + "M" * 60 + "= M"
    assert without_keys("x=" + "M" * 60 + "= M") == "x=" + "*" * 61 + " M"
