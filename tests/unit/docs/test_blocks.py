"""What the pages show is true: configurations load, or are wrong as told; code runs; commands are understood."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from certificates import authority, issue, revocations
from manual_pages import ROOT, Block, blocks
from typer.main import get_command

from pylos.cli import app
from pylos.config import load_text
from pylos.errors import ConfigError, Problem

MISSING = {"P105", "P107"}
"""What may be missing around a fragment: a listener, and tables that it refers to."""
SECONDS = 60


def each(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=lambda block: block.place)


def problems_of(text: str, name: str = "gateway.toml") -> list[Problem]:
    try:
        return load_text(text, name).warnings
    except ConfigError as error:
        return error.problems


@each(blocks("toml"))
def test_a_configuration_is_sound(block: Block):
    assert [problem.render() for problem in problems_of(block.text)] == []


@each(blocks("toml", "fragment"))
def test_a_fragment_is_sound_as_far_as_it_goes(block: Block):
    assert [problem.render() for problem in problems_of(block.text) if problem.code not in MISSING] == []


@each(blocks("toml", "wrong"))
def test_a_wrong_configuration_is_wrong_as_told(block: Block):
    problems = problems_of(block.text)
    assert [problem.code for problem in problems] == block.marks[1:], [problem.render() for problem in problems]


@each(blocks("toml", "asks"))
def test_a_configuration_with_policies_is_sound(block: Block, tmp_path: Path):
    page, line = block.place.rsplit(":", 1)
    modules = [one for one in blocks("python", "policies") if one.place.rsplit(":", 1)[0] == page]
    (tmp_path / "policies.py").write_text(
        [one for one in modules if int(one.place.rsplit(":", 1)[1]) < int(line)][-1].text
    )
    assert [problem.render() for problem in problems_of(block.text, str(tmp_path / "gateway.toml"))] == []


@each(blocks("toml", "certificates"))
def test_a_configuration_with_certificates_is_sound(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are made: absolute paths begin in the test's folder."""
    monkeypatch.chdir(tmp_path)
    text = block.text.replace('"/', f'"{tmp_path}/').replace(f'"{tmp_path}/{{', '"/{')
    document = tomllib.loads(text)
    root = authority()
    outward = [upstream["tls"] for upstream in document.get("upstream", {}).values() if "tls" in upstream]
    for file in [
        one["ca"] for one in (*outward, *(tls.get("client", {}) for tls in document["tls"].values())) if "ca" in one
    ]:
        (tmp_path / file).write_text(root.pem)
    for tls in document["tls"].values():
        if "crl" in tls.get("client", {}):
            (tmp_path / tls["client"]["crl"]).write_text(revocations(root))
    for name, tls in document["tls"].items():
        certs = tls["cert"] if isinstance(tls["cert"], list) else [tls["cert"]]
        keys = tls["key"] if isinstance(tls["key"], list) else [tls["key"]]
        for cert, key in zip(certs, keys, strict=True):
            issued = issue(f"{name}.example.com")
            where = {cert: issued.chain, key["file"] if isinstance(key, dict) else key: issued.key_pem}
            for path, written in where.items():
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(written)
    assert [problem.render() for problem in problems_of(text)] == []


@each(blocks("python", "policies"))
def test_a_policy_is_short(block: Block):
    """What others need a plugin for takes no more than 15 lines."""
    code = [line for line in block.text.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(code) <= 15


@each(blocks("json", "config"))
def test_a_configuration_in_json_is_sound(block: Block):
    assert [problem.render() for problem in problems_of(block.text, "gateway.json")] == []


@each(blocks("python", "run"))
def test_code_runs(block: Block, tmp_path: Path):
    script = tmp_path / "shown.py"
    script.write_text(re.sub(r"(bind\W+)127\.0\.0\.1:\d+", r"\g<1>127.0.0.1:0", block.text))
    done = subprocess.run(
        [sys.executable, script], input="\n", capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


@each(blocks("python", "test"))
def test_tests_pass(block: Block, tmp_path: Path):
    (tmp_path / "test_shown.py").write_text(block.text)
    page = block.place.partition(":")[0]
    shown = next(one.text for one in blocks("toml") if one.place.partition(":")[0] == page)
    (tmp_path / "gateway.toml").write_text(shown)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each(blocks("python", "*"))
def test_code_compiles(block: Block):
    compile(block.text, block.place, "exec")


def commands() -> list[tuple[str, str]]:
    lines = [(block.place, line) for block in blocks("console") for line in block.text.splitlines()]
    return [(place, line.removeprefix("$ ")) for place, line in lines if line.startswith("$ pylos")]


@pytest.mark.parametrize("place, line", commands())
def test_a_command_is_understood(place: str, line: str):
    name, *arguments = shlex.split(re.split(r" [<>|] ", line)[0])[1:]
    group = get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]
    while hasattr(command, "commands"):  # a group of its own, which may say something itself
        if command.invoke_without_command and (not arguments or arguments[0].startswith("-")):
            break
        command = command.commands[arguments.pop(0)]
    context = command.make_context(name, arguments)
    assert context.args == [], place
    files = [argument for argument in arguments if argument.startswith("examples/")]
    assert [file for file in files if not (ROOT / file).exists()] == [], place


def test_there_are_blocks_of_each_kind():
    kinds = [
        ("toml", ""),
        ("toml", "fragment"),
        ("toml", "wrong"),
        ("toml", "certificates"),
        ("json", "config"),
        ("python", "run"),
        ("python", "test"),
    ]
    assert [kind for kind in kinds if not blocks(*kind)] == []
    assert len(commands()) > 10
