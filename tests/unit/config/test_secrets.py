"""Secrets in what fields hold: the gateway gets them, and nobody is shown them."""

import json

import pytest

import pylos
from pylos.config import load_text
from pylos.config.diff import changes, rendered
from pylos.config.explain import Asker
from pylos.config.meaning import Meaning
from pylos.config.secrets import Veiled
from pylos.errors import ConfigError, PylosError
from pylos.supervisor.source import Checked

VALUE = "Bearer correct horse"
DOCUMENT = """\
[listen.http]
bind = "127.0.0.1:0"
[upstream.web]
targets = ["http://10.0.0.1:8000"]
[policy.token]
type = "headers"
request = { set = { Authorization = { env = "PYLOS_TEST_SECRET" } }, add = { x-plain = "shown" } }
response = { add = { x-key = { file = "key" } } }
[route.site]
match = "/{rest:path}"
to = "web"
use = ["token"]
"""
LISTENER = '[listen.http]\nbind = "127.0.0.1:0"\n'


@pytest.fixture(autouse=True)
def secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYLOS_TEST_SECRET", VALUE)
    (tmp_path / "key").write_text("battery staple\n")


@pytest.fixture
def loaded():
    return load_text(DOCUMENT, "x.toml")


def checked(loaded):
    return Checked(loaded.table, secrets=loaded.secrets)


def test_the_gateway_gets_them(loaded):
    kind = loaded.table["policy"]["token"]["kind"]

    assert kind["request"]["set"] == {"Authorization": VALUE}
    assert kind["response"]["add"] == {"x-key": "battery staple"}
    assert loaded.secrets == [
        ["policy", "token", "kind", "request", "set", "Authorization"],
        ["policy", "token", "kind", "response", "add", "x-key"],
    ]


def test_the_twin_has_them():
    twin = pylos.Config(
        listen={"http": pylos.Listen(bind="127.0.0.1:0")},
        policy={"token": pylos.Headers(request={"set": {"a": pylos.Secret(env="PYLOS_TEST_SECRET")}})},
    )

    assert twin.loaded.table["policy"]["token"]["kind"]["request"]["set"] == {"a": VALUE}
    assert VALUE not in repr(twin.loaded)


def test_no_text_of_a_configuration_shows_them(loaded):
    assert VALUE not in repr(loaded)
    assert VALUE not in repr(checked(loaded))
    assert VALUE not in json.dumps(loaded.routes())


def test_explain_shows_something_else(loaded):
    told = Asker(loaded.table, loaded.secrets).ask("GET", "/")

    assert ("authorization", "***") in [(name.lower(), value) for name, value in told.sent.headers]
    assert [line.lower() for line in told.policies[0].request] == ["set authorization: ***", "add x-plain: shown"]
    assert [line.lower() for line in told.policies[0].response] == ["add x-key: ***"]
    shown = str(told) + told.model_dump_json()
    assert [secret for secret in (VALUE, "battery staple") if secret in shown] == []


def test_a_difference_shows_that_they_changed_and_no_more(loaded, monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_SECRET", "another")
    found = changes(Meaning.of(loaded), Meaning.of(load_text(DOCUMENT, "x.toml")))

    assert rendered(found) == ["~ [policy.token]", '      request.set.authorization: "***" -> "***"']
    assert "correct" not in json.dumps([change.as_json() for change in found])


NAMES = ["x_token_bytes", "x-auth_ms", "max_body", "body_rate", '"x.dot"', "set", "claims", "X-Key_MS"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["set", "add"])
def test_no_name_of_a_field_lifts_the_veil(monkeypatch, name, verb):
    text = DOCUMENT.replace("set = { Authorization", f"{verb} = {{ {name}").replace(', add = { x-plain = "shown" }', "")
    before = Meaning.of(load_text(text, "x.toml"))
    monkeypatch.setenv("PYLOS_TEST_SECRET", "another")
    after, without = Meaning.of(load_text(text, "x.toml")), Meaning.of(load_text(LISTENER, "x.toml"))

    assert rendered(changes(before, after)) == [
        "~ [policy.token]",
        f'      request.{verb}.{name.lower()}: "***" -> "***"',
    ]
    for old, new in ((before, after), (without, after), (before, without)):
        found = changes(old, new)
        shown = json.dumps([change.as_json() for change in found]) + "\n".join(rendered(found)) + repr(found)
        assert [secret for secret in (VALUE, "another", "battery staple") if secret in shown] == []


@pytest.mark.parametrize("other", ["authorization", "AUTHORIZATION", "Authorization"])
def test_a_value_that_becomes_a_secret_is_none_before_either(other):
    plain = DOCUMENT.replace('Authorization = { env = "PYLOS_TEST_SECRET" }', f'{other} = "guessed"')
    found = changes(Meaning.of(load_text(plain, "x.toml")), Meaning.of(load_text(DOCUMENT, "x.toml")))

    assert rendered(found) == ["~ [policy.token]", '      request.set.authorization: "***" -> "***"']


def test_a_secret_that_moves_is_no_change(tmp_path):
    (tmp_path / "same").write_text(VALUE)
    moved = DOCUMENT.replace('env = "PYLOS_TEST_SECRET"', 'file = "same"')

    assert changes(Meaning.of(load_text(DOCUMENT, "x.toml")), Meaning.of(load_text(moved, "x.toml"))) == []


@pytest.mark.parametrize("secret", ["a: b", "b", ": b", "x: a: b"])
def test_a_secret_with_a_colon_is_hidden_whole_and_nothing_else(secret, monkeypatch, tmp_path):
    """Whatever other secret it ends with; and a value that ends as a secret does is none."""
    (tmp_path / "key").write_text("b")
    monkeypatch.setenv("PYLOS_TEST_SECRET", secret)
    loaded = load_text(DOCUMENT.replace('"shown"', '"c: b"'), "x.toml")
    told = Asker(loaded.table, loaded.secrets).ask("GET", "/")

    assert [line.lower() for line in told.policies[0].request] == ["set authorization: ***", "add x-plain: c: b"]
    assert [line.lower() for line in told.policies[0].response] == ["add x-key: ***"]


def test_a_veil_cannot_be_written():
    assert (f"{Veiled(VALUE)} {Veiled(VALUE)!r}", Veiled(VALUE)) == ("*** ***", Veiled(VALUE))
    with pytest.raises(TypeError):
        json.dumps(Veiled(VALUE))


def test_an_answer_that_is_no_explanation_is_told_without_what_it_holds(loaded):
    class Other:
        def explain(self, _) -> dict:
            return {"sent": {"headers": [["authorization", VALUE]]}}

    with pytest.raises(PylosError, match=r"^a defect of Pylos: the core's answer is no explanation$"):
        Asker(loaded.table, loaded.secrets, Other()).ask("GET", "/")


@pytest.mark.parametrize("added", [True, False])
def test_a_policy_that_comes_or_goes(loaded, added):
    without = Meaning.of(load_text(LISTENER, "x.toml"))
    found = changes(without, Meaning.of(loaded)) if added else changes(Meaning.of(loaded), without)

    said = "\n".join(rendered(found))
    assert '      request.set.authorization = "***"' in said
    assert [secret for secret in (VALUE, "battery staple") if secret in said] == []


def test_the_digest_tells_them_apart_and_no_one_can_try_them_out(loaded, monkeypatch):
    same = load_text(DOCUMENT, "x.toml")
    monkeypatch.setenv("PYLOS_TEST_SECRET", "another")
    other = load_text(DOCUMENT, "x.toml")
    first = checked(loaded).digest

    assert first == checked(same).digest != checked(other).digest
    monkeypatch.setattr("pylos.supervisor.source.KEY", b"of another process")
    assert checked(loaded).digest != first


@pytest.mark.parametrize(
    "secret, code, marked, message",
    [
        ('{ env = "PYLOS_TEST_UNSET" }', "P114", "env", "the variable `PYLOS_TEST_UNSET` is not set"),
        ('{ file = "none" }', "P114", "file", "`none` cannot be read: No such file or directory"),
        ('{ file = "key", env = "A" }', "P108", "env", "cannot stand beside `file`: a secret comes from one place"),
        ("{}", "P105", "Authorization", "no place to read the secret from"),
        ('{ evn = "A" }', "P102", "evn", "unknown key"),
        ("3", "P104", "3", "must be a string or a secret, a table of `file` or `env`, not an integer"),
    ],
)
def test_one_that_is_wrong_is_one_error_at_its_place(secret, code, marked, message):
    with pytest.raises(ConfigError) as caught:
        load_text(DOCUMENT.replace('{ env = "PYLOS_TEST_SECRET" }', secret), "x.toml")

    (problem,) = caught.value.problems
    assert (problem.code, problem.place.marked, problem.message) == (code, marked, message)


def test_one_that_no_field_can_hold_is_not_told(monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_SECRET", "correct\nhorse")
    with pytest.raises(ConfigError) as caught:
        load_text(DOCUMENT, "x.toml")

    assert [problem.code for problem in caught.value.problems] == ["P209"]
    assert "horse" not in str(caught.value)
