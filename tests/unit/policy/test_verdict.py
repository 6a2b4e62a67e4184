"""What a policy may say."""

import pytest

from pylos.config import load_text
from pylos.errors import ConfigError
from pylos.model.fields import OWN


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
