"""Each example starts as it is, and answers as its page says."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

import pylos
from pylos.config import load_text
from pylos.testing import RawClient, Response

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(path for path in EXAMPLES.glob("*/gateway.*") if path.suffix in {".toml", ".py"})
SAMPLE_PORTS = ("8001", "8002")
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Stage(NamedTuple):
    """A running example, and where its fixed addresses are now."""

    gateway: pylos.Gateway
    listeners: dict[str, str]
    """By the address in the file."""
    servers: dict[str, str]
    """The port in the file by the real one."""


@contextmanager
def _samples() -> Iterator[dict[str, str]]:
    """The sample servers, on free ports."""
    servers = [_module(EXAMPLES / "upstream.py").Server(0, port) for port in SAMPLE_PORTS]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield {str(server.server_port): server.name for server in servers}
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@contextmanager
def _running(path: Path) -> Iterator[Stage]:
    text = path.read_text()
    with _samples() as servers:
        for real, port in servers.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{real}")
        binds = {
            bind: (name, index)
            for name, listen in _table(path, text)["listen"].items()
            for index, bind in enumerate(listen["bind"])
        }
        for bind in binds:
            text = text.replace(f'"{bind}"', '"127.0.0.1:0"')
        source = _config(text) if path.suffix == ".py" else load_text(text, str(path))
        with pylos.Gateway(source) as gateway:
            listeners = {bind: gateway.addresses(name)[index] for bind, (name, index) in binds.items()}
            yield Stage(gateway, listeners, servers)


def _config(text: str) -> pylos.Config:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(text, "gateway.py", "exec"), names)  # noqa: S102 - our own example, with other ports
    config = names["config"]
    assert isinstance(config, pylos.Config)
    return config


def _table(path: Path, text: str) -> dict[str, Any]:
    loaded = _config(text).loaded if path.suffix == ".py" else load_text(text, str(path))
    assert loaded.warnings == []
    return loaded.table


class Shown(NamedTuple):
    """A request of a page, and the lines that its answer has."""

    command: str
    lines: list[str]


def _shown(page: str) -> list[Shown]:
    found: list[Shown] = []
    for block in CONSOLE.findall(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Shown(line.removeprefix("$ "), []))
            else:
                found[-1].lines.append(line)
    return [one for one in found if one.command.startswith("curl ")]


CURL = argparse.ArgumentParser()
CURL.add_argument("-i", action="store_true")
CURL.add_argument("--path-as-is", action="store_true")
CURL.add_argument("-X", default="GET")
CURL.add_argument("-H", action="append", default=[])
CURL.add_argument("-d")
CURL.add_argument("url")


def _ask(command: str, stage: Stage) -> Response:
    options = CURL.parse_args(shlex.split(command)[1:])
    url = urlsplit(options.url)
    headers = [tuple(field.split(": ", 1)) for field in options.H]
    target = url.path + (f"?{url.query}" if url.query else "")
    body = options.d.encode() if options.d is not None else None
    with RawClient(stage.listeners[url.netloc]) as client:
        return client.request(options.X, target, headers, body, host=url.netloc)


def _missing(shown: Shown, answer: Response, servers: dict[str, str]) -> list[str]:
    """The lines of the page that the answer does not have."""
    body = answer.text
    for real, port in servers.items():
        body = body.replace(f"127.0.0.1:{real}", f"127.0.0.1:{port}")
    fields = [f"{name.lower()}: {value}" for name, value in answer.headers]
    had = [f"HTTP/1.1 {answer.status} {answer.reason}", *fields, *body.splitlines()]
    wrong = []
    for line in shown.lines:
        if line.startswith("! "):
            present = any(field.startswith(line.removeprefix("! ") + ":") for field in fields)
        elif line.endswith("..."):
            present = not any(one.startswith(line.removesuffix("...")) for one in had)
        else:
            present = line.rstrip(",") not in [one.rstrip(",") for one in had]
        wrong += [line] if present else []
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_example_answers_as_its_page_says(path: Path):
    shown = _shown((path.parent / "README.md").read_text())
    assert shown
    with _running(path) as stage:
        for one in shown:
            answer = _ask(one.command, stage)
            assert _missing(one, answer, stage.servers) == [], f"{one.command}\n{answer.head.decode()}\n{answer.text}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_example_is_sound_as_it_stands(path: Path):
    assert _table(path, path.read_text())["route"]


def test_python_says_the_same_as_the_file():
    folder = EXAMPLES / "python"
    tables = [_table(path, path.read_text()) for path in (folder / "gateway.toml", folder / "gateway.py")]
    assert tables[0] == tables[1]


def test_every_example_is_listed():
    listed = set(re.findall(r"\]\(([\w-]+)/README\.md\)", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.parent.name for path in FILES}
