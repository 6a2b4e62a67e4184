"""What a policy may say."""

import pytest

from pylos.config import load_text
from pylos.errors import ConfigError
from pylos.model.fields import OWN
from pylos.policy import Allow, Answer, Deny
from pylos.policy.answer import Kind, encoded, keyed


@pytest.mark.parametrize("name", sorted({*OWN, "x-a", "content-type", "content-encoding", "via", "date"}))
def test_the_core_keeps_the_same_fields_to_itself(name: str):
    file = f"""
        [listen.http]
        bind = "127.0.0.1:0"
        [policy.edit]
        type = "headers"
        request = {{ set = {{ {name} = "x" }} }}
        """
    if name in OWN:
        with pytest.raises(ConfigError, match=r"P209"):
            load_text(file, "gateway.toml")
    else:
        load_text(file, "gateway.toml")


def test_a_key_is_a_text_where_keys_are_given():
    assert keyed("acme") == (Kind.ALLOW, b'{"key":"acme"}')
    assert keyed(None) == (Kind.PASS, b"")
    remembered = Allow(key="acme", remember="1m", by=["client.ip"])
    assert keyed(remembered) == encoded(remembered)
    assert encoded(remembered)[1] == b'{"key":"acme","remember_ms":60000,"by":["client.ip"]}'
    with pytest.raises(TypeError, match="a policy gives Allow, Deny, Answer or None, not str"):
        encoded("acme")


@pytest.mark.parametrize(
    "word", ["", "x" * 257, Deny(), Answer(), 7, b"acme", Allow(key="a", path="/b"), Allow(plan="gold")], ids=repr
)
def test_what_is_no_key_is_refused(word: object):
    with pytest.raises((TypeError, ValueError), match=r"a key of \d+ bytes|a policy of keys gives"):
        keyed(word)
