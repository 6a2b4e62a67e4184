"""The metrics and the admin listener: names that stay, series that are bounded, whatever clients send."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter

import pytest
from system.rig import Front, configuration, until

from pylos import Gateway
from pylos.testing import RawClient, reply
from pylos.testing.plugin import UpstreamFactory

METRICS = {
    "pylos_requests_total",
    "pylos_request_duration_seconds",
    "pylos_upstream_requests_total",
    "pylos_connections",
    "pylos_upstream_state",
    "pylos_retries_total",
    "pylos_log_lines_dropped_total",
    "pylos_panics_total",
    "pylos_config_generation",
}
ADMIN = '[listen.ops]\nbind = "127.0.0.1:0"\nserve = ["metrics", "health"]'


def _metrics(gateway: Gateway) -> str:
    with RawClient(gateway.address("ops")) as client:
        response = client.get("/metrics")
    assert response.status == 200
    assert (response.header("content-type") or "").startswith("text/plain; version=0.0.4")
    return response.text


def _series(text: str) -> list[str]:
    return [line.rsplit(" ", 1)[0] for line in text.splitlines() if line and not line.startswith("#")]


def _value(gateway: Gateway, series: str) -> float:
    return next(float(line.split()[-1]) for line in _metrics(gateway).splitlines() if line.startswith(series))


def test_metrics_have_names_help_and_types(front: Front, upstream: UpstreamFactory):
    app = upstream()
    gateway = front(app, more=ADMIN)
    with RawClient(gateway.address()) as client:
        for _ in range(3):
            assert client.get().status == 200
        assert client.get("/", [("Host", "x y")]).status == 400
    text = _metrics(gateway)
    names = {re.split(r"[{ ]", series)[0] for series in _series(text)}
    base = {re.sub(r"_(bucket|sum|count)$", "", name) if "seconds" in name else name for name in names}
    assert base >= METRICS
    for name in base:
        assert f"# HELP {name} " in text
        assert f"# TYPE {name} " in text
    assert [series for series, count in Counter(_series(text)).items() if count > 1] == []
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    assert values['pylos_requests_total{listener="http",route="all",code="2xx"}'] == 3
    assert values[f'pylos_upstream_requests_total{{upstream="app",target="{app.url}",code="2xx"}}'] == 3
    assert values[f'pylos_upstream_state{{upstream="app",target="{app.url}"}}'] == 1
    assert values["pylos_config_generation"] >= 1
    assert values["pylos_panics_total"] == 0


def test_series_are_bounded(front: Front, upstream: UpstreamFactory):
    """10,000 random hosts, methods and paths add none."""
    gateway = front(upstream(), more=ADMIN, route='match = "known.example/{rest:path}"')
    with RawClient(gateway.address()) as client:
        assert client.get("/", [("Host", "a")]).status == 400
    with RawClient(gateway.address()) as client:
        assert client.get("/").status == 404
        assert client.request("GET", host="known.example").status == 200
        before = _series(_metrics(gateway))
        for start in range(0, 10_000, 100):
            client.send(b"".join(_random(number) for number in range(start, start + 100)))
            for _ in range(100):
                assert client.read_response().status == 404
    after = _series(_metrics(gateway))
    assert len(after) == len(before)
    assert _value(gateway, "pylos_requests_total") >= 0
    assert not [series for series in after if "FOO" in series or "host1" in series]


def _random(number: int) -> bytes:
    return b"FOO%d /path/%d HTTP/1.1\r\nHost: host%d.example\r\n\r\n" % (number, number, number)


def test_admin_listener(front: Front, upstream: UpstreamFactory):
    app = upstream()
    gateway = front(app, more=ADMIN)
    with RawClient(gateway.address("ops")) as client:
        for path in ("/livez", "/readyz", "/metrics"):
            assert client.get(path).status == 200
            assert client.request("HEAD", path).status == 200
        assert client.get("/").status == 404
        assert client.request("POST", "/livez", body=b"x").status == 405
    assert app.requests == []


def test_admin_paths_are_not_on_the_other_listener(front: Front, upstream: UpstreamFactory):
    app = upstream(reply(b"the application's own"))
    gateway = front(app, more=ADMIN)
    with RawClient(gateway.address()) as client:
        for path in ("/livez", "/readyz", "/metrics"):
            assert client.get(path).body == b"the application's own"


def test_metrics_are_sound_to_promtool(front: Front, upstream: UpstreamFactory):
    try:
        subprocess.run(["promtool", "--version"], capture_output=True, check=True)  # noqa: S607
    except FileNotFoundError:
        pytest.skip("promtool is not on this machine")
    gateway = front(upstream(), more=ADMIN)
    text = _metrics(gateway)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)  # noqa: S607
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_blocked_log_drops_lines_and_counts_them(upstream: UpstreamFactory):
    """Nobody reads the pipe: requests go on, memory has a bound, the counter tells."""
    text = configuration(upstream(), pylos="", route='match = "/x"', more=ADMIN)
    reading, writing = os.pipe()
    try:
        with Gateway.from_toml(text, stdout=writing) as gateway, RawClient(gateway.address()) as client:
            request = b"GET /" + b"n" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
            for _ in range(60):
                client.send(request * 50)
                for _ in range(50):
                    assert client.read_response().status == 404
            until(lambda: _value(gateway, "pylos_log_lines_dropped_total") > 0)
            os.close(reading)
    finally:
        os.close(writing)
