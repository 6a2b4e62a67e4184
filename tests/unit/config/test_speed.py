"""How long a check may take, in time of the processor, so that a busy machine does not matter."""

import time

import pytest

from pylos.config import load_text
from pylos.errors import ConfigError

ROUTES = 10_000
HEAD = """\
[listen.http]
bind = "127.0.0.1:8080"
[policy.shield]
type = "filter"
max_body = "1MiB"
"""


def document(to, count=ROUTES):
    upstreams = [f'[upstream.u{number}]\ntargets = ["http://10.0.{number}.1:8000"]\n' for number in range(100)]
    routes = [
        f"[route.r{number}]\n"
        f'match = "h{number % 500}.example.com/v{number % 7}/thing{number}/{{id}}/{{rest:path}}"\n'
        f'to = "{to(number)}"\nuse = ["shield"]\ntimeout = "10s"\n'
        for number in range(count)
    ]
    return "".join([HEAD, *upstreams, *routes])


def seconds(run):
    """The least of two, which is what it takes without what else happens in the process."""
    times = []
    for _ in range(2):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


def test_ten_thousand_routes_are_checked_in_two_seconds():
    text = document(lambda number: f"u{number % 100}")

    assert seconds(lambda: load_text(text, "x.toml")) < 2


def test_ten_thousand_mistakes_do_not_take_much_longer():
    text = document(lambda number: f"missing{number}")

    def check() -> None:
        with pytest.raises(ConfigError) as caught:
            load_text(text, "x.toml")
        assert len(caught.value.problems) == ROUTES

    assert seconds(check) < 4
