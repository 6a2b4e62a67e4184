"""The fixtures, as a user's test takes them."""

from pathlib import Path

from pylos import Config, testing
from pylos.testing import EchoUpstream, reply
from pylos.testing.plugin import ClientFactory, GatewayFactory, UpstreamFactory

TEXT = """
[pylos]
access_log = false
[listen.http]
bind = "127.0.0.1:0"
[upstream.app]
targets = ["{target}"]
[route.app]
match = "/{{rest:path}}"
to = "app"
"""


def test_text_echo_and_client(gateway: GatewayFactory, echo: EchoUpstream, client: ClientFactory) -> None:
    running = gateway(TEXT.format(target=echo.url))
    seen = client(running).request("POST", "/orders", [("X-A", "1")], b"body").json()
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/orders", "body")
    assert ["X-A", "1"] in seen["headers"]


def test_a_file(gateway: GatewayFactory, upstream: UpstreamFactory, client: ClientFactory, tmp_path: Path) -> None:
    file = tmp_path / "pylos.toml"
    file.write_text(TEXT.format(target=upstream(reply(b"from a script")).url))
    assert client(gateway(file), "http").get().text == "from a script"


def test_two_gateways_of_one_test(gateway: GatewayFactory, client: ClientFactory) -> None:
    def answering(text: str) -> Config:
        return Config(
            pylos={"access_log": False},
            listen={"http": {"bind": "127.0.0.1:0"}},
            route={"all": {"match": "/{rest:path}", "respond": {"text": text}}},
        )

    one, two = gateway(answering("one")), gateway(answering("two"))
    assert [client(one).get().text, client(two).get().text] == ["one", "two"]
    assert one.address() != two.address()


def test_the_public_names_are_sorted_and_there() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []
