from pathlib import Path

import pytest

from pylos.config import load

TARGETS = [[], ["localhost:8000"], ["http://10.0.0.1:8000", "unix:/run/app.sock"]]


@pytest.mark.parametrize("targets", TARGETS, ids=len)
def test_what_is_written_is_sound_and_laid_out(pylos, targets):
    done = pylos("init", *targets)

    assert (done.exit_code, done.stdout) == (0, "gateway.toml is written. Now: pylos serve -c gateway.toml\n")
    assert pylos("check").stdout == "gateway.toml: ok\n"
    assert pylos("fmt", "--check").exit_code == 0
    assert Path("gateway.toml").read_text().count("#") > 3


def test_with_targets_it_proxies_to_them(pylos):
    pylos("init", "localhost:8000", "10.0.0.1:80")
    table = load("gateway.toml").table

    assert [target["url"] for target in table["upstream"]["web"]["targets"]] == [
        "http://localhost:8000",
        "http://10.0.0.1:80",
    ]
    assert [(row["action"], row["to"]) for row in load("gateway.toml").routes()] == [("forward", "web")]


def test_without_any_there_is_a_page_to_try(pylos):
    pylos("init")

    assert [row["action"] for row in load("gateway.toml").routes()] == ["respond"]


@pytest.mark.parametrize("target", ["ftp://x", "http://${X}", 'a"b', "a\nb:1", ""])
def test_a_wrong_target_writes_nothing(pylos, target):
    done = pylos("init", target)

    assert done.exit_code == 1
    assert done.stderr.startswith("error[P205]: ")
    assert " --> command line\n" in done.stderr
    assert [path.name for path in Path().iterdir()] == []


def test_a_file_that_is_there_stays(pylos):
    Path("gateway.toml").write_text("mine")
    done = pylos("init")

    assert (done.exit_code, done.stderr) == (1, "pylos: gateway.toml is there already; --force replaces it\n")
    assert Path("gateway.toml").read_text() == "mine"
    assert [path.name for path in Path().iterdir()] == ["gateway.toml"]


def test_unless_it_is_to_be_replaced(pylos):
    Path("gateway.toml").write_text("mine")

    assert pylos("init", "--force").exit_code == 0
    assert load("gateway.toml").warnings == []


def test_another_file(pylos):
    assert pylos("init", "-o", "shop.toml").exit_code == 0
    assert [path.name for path in Path().iterdir()] == ["shop.toml"]


def test_what_is_commented_out_holds_too(pylos):
    pylos("init")
    text = Path("gateway.toml").read_text()
    before, _, rest = text.partition("# [upstream.web]")
    block, _, after = ("# [upstream.web]" + rest).partition("\n\n")
    uncommented = "\n".join(line.removeprefix("#").removeprefix(" ") for line in block.splitlines())
    Path("gateway.toml").write_text(
        before.replace("[route.hello]", "[route.hello]\npriority = 1") + uncommented + "\n\n" + after
    )

    assert [row["route"] for row in load("gateway.toml").routes()] == ["hello", "site"]
