import json
import re
from pathlib import Path

import pytest

from pylos.cli import output, reports
from pylos.config.codes import MANUALS
from pylos.config.problem_json import as_json
from pylos.errors import Place, Problem

WRONG = '[listen.http]\nbind = "127.0.0.1:0"\n[route.a]\nmatch = "/"\nto = "web"\ntimeout = 3\n'
SOUND = '[listen.http]\nbind = "127.0.0.1:0"\n[route.a]\nmatch = "/"\nrespond = { text = "ok" }\n'


def test_a_sound_file(pylos, file):
    done = pylos("check", "-c", file(SOUND))

    assert (done.exit_code, done.stdout, done.stderr) == (0, "pylos.toml: ok\n", "")


def test_the_default_file(pylos, file):
    file(SOUND)

    assert pylos("check").exit_code == 0


def test_the_file_that_init_writes_is_found(pylos, file):
    Path(file(SOUND)).rename("gateway.toml")

    assert pylos("check").stdout == "gateway.toml: ok\n"


def test_of_two_files_one_is_named(pylos, file):
    Path("gateway.toml").write_text(Path(file(SOUND)).read_text())
    done = pylos("check")

    assert done.exit_code == 2
    assert "there are both pylos.toml and gateway.toml" in done.stderr


def test_no_file_at_all(pylos):
    done = pylos("check")

    assert done.exit_code == 2
    assert "there is no pylos.toml" in done.stderr


def test_a_wrong_file(pylos, file):
    done = pylos("check", "-c", file(WRONG))

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error[P107]: [route.a] to: there is no upstream `web`",
        " --> pylos.toml:5:6",
        "  |",
        '5 | to = "web"',
        "  |      ^^^^^",
        "  |",
        "  = help: add [upstream.web]",
        "  = see: pylos check --explain P107",
        "",
        "error[P109]: [route.a] timeout: 3 has no unit",
        " --> pylos.toml:6:11",
        "  |",
        "6 | timeout = 3",
        "  |           ^",
        "  |",
        '  = help: write "3ms", "3s" or "3m"',
        "  = see: pylos check --explain P109",
        "",
        "2 errors",
    ]


def test_colours_are_for_terminals_alone(pylos, file, monkeypatch):
    name = file(WRONG)
    assert "\x1b" not in pylos("check", "-c", name).stderr

    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = pylos("check", "-c", name).stderr
    assert "\x1b[31m\x1b[1merror[P107]\x1b[0m: [route.a] to: there is no upstream" in coloured
    assert "\x1b[31m\x1b[1m^^^^^\x1b[0m" in coloured

    monkeypatch.setenv("NO_COLOR", "1")
    plain = pylos("check", "-c", name).stderr
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert "\x1b" not in plain


def test_a_wrong_file_as_json(pylos, file):
    done = pylos("check", "-c", file(WRONG), "--json")
    told = json.loads(done.stdout)

    assert (done.exit_code, done.stderr) == (1, "")
    assert (told["file"], told["ok"]) == ("pylos.toml", False)
    assert told["problems"][0] == {
        "code": "P107",
        "severity": "error",
        "path": ["route", "a", "to"],
        "message": "there is no upstream `web`",
        "hint": "add [upstream.web]",
        "file": "pylos.toml",
        "line": 5,
        "column": 6,
        "end_column": 11,
        "also": [],
        "url": "docs/errors/P107.md",
    }
    assert pylos("check", "--format", "json").stdout == done.stdout


def test_the_second_place_as_json():
    place, other = Place("a.toml", 3, 1, 4, "here"), Place("b.toml", 7)
    problem = Problem("P202", "error", (), "no", None, place, ((other, "the first"),))

    assert as_json(problem)["also"] == [
        {"file": "b.toml", "line": 7, "column": 0, "end_column": 0, "label": "the first"}
    ]
    related = reports.sarif([problem])["runs"][0]["results"][0]["relatedLocations"]
    assert [one["message"]["text"] for one in related] == ["the first"]


def test_every_key_of_the_json_form_is_in_the_manual():
    page = (Path(__file__).parents[3] / "docs" / "errors.md").read_text()
    told = as_json(Problem("P100", "error", (), "no", None, Place("a.toml")))
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]

    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(told)


def test_as_annotations_of_github(pylos, file):
    done = pylos("check", "-c", file(WRONG), "--format", "github")

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"::error file=pylos.toml,line=5,col=6,endColumn=11,title=P107::{TO}: there is no upstream `web`%0A{ADD}",
        f"::error file=pylos.toml,line=6,col=11,endColumn=12,title=P109::{TIMEOUT}: 3 has no unit%0A{UNIT}",
    ]


TO, ADD = "[route.a] to", "add [upstream.web]"
TIMEOUT, UNIT = "[route.a] timeout", 'write "3ms", "3s" or "3m"'


def test_what_a_workflow_command_would_obey_is_escaped():
    problem = Problem("P203", "warning", (), "100%\r\n::error::x", None, Place("a,b:c.toml", 2))

    assert reports.github([problem]) == ["::warning file=a%2Cb%3Ac.toml,line=2,title=P203::100%25%0D%0A::error::x"]


def test_as_a_report_for_gitlab(pylos, file):
    done = pylos("check", "-c", file(WRONG), "--format", "gitlab")
    first, second = json.loads(done.stdout)

    assert done.exit_code == 1
    assert {key: value for key, value in first.items() if key != "fingerprint"} == {
        "description": "[route.a] to: there is no upstream `web` (add [upstream.web])",
        "check_name": "P107",
        "severity": "major",
        "location": {"path": "pylos.toml", "lines": {"begin": 5}},
    }
    file("# a line above\n" + WRONG)
    moved = json.loads(pylos("check", "--format", "gitlab").stdout)
    assert [one["fingerprint"] for one in moved] == [first["fingerprint"], second["fingerprint"]]
    assert first["fingerprint"] != second["fingerprint"]


def test_as_sarif(pylos, file):
    done = pylos("check", "-c", file(WRONG), "--format", "sarif")
    log = json.loads(done.stdout)
    (run,) = log["runs"]

    assert (done.exit_code, log["version"], run["tool"]["driver"]["name"]) == (1, "2.1.0", "pylos")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["P107", "P109"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [("P107", "error"), ("P109", "error")]
    assert run["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "pylos.toml"},
        "region": {"startLine": 5, "startColumn": 6, "endColumn": 11},
    }


@pytest.mark.parametrize("form, printed", [("github", ""), ("gitlab", "[]\n"), ("text", "pylos.toml: ok\n")])
def test_a_sound_file_in_each_form(pylos, file, form, printed):
    done = pylos("check", "-c", file(SOUND), "--format", form)

    assert (done.exit_code, done.stdout) == (0, printed)


def test_two_forms_at_once(pylos, file):
    assert pylos("check", "-c", file(SOUND), "--json", "--format", "github").exit_code == 2


def test_a_code_is_explained_without_any_file(pylos):
    done = pylos("check", "--explain", "p102")

    assert (done.exit_code, done.stdout) == (0, MANUALS["P102"].page())
    assert done.stdout.startswith("# P102: unknown key\n")


def test_a_code_that_there_is_none_of(pylos):
    done = pylos("check", "--explain", "P999")

    assert done.exit_code == 2
    assert "P999" in done.stderr


def test_a_sound_file_as_json(pylos, file):
    done = pylos("check", "-c", file(SOUND), "--json")

    assert (done.exit_code, json.loads(done.stdout)) == (
        0,
        {"file": "pylos.toml", "ok": True, "problems": [], "without": {}, "python": {}},
    )


def test_a_warning_is_no_failure(pylos, file):
    done = pylos("check", "-c", file(SOUND + 'without = ["x"]\n[policy.x]\ntype = "filter"\n'))

    assert (done.exit_code, done.stdout) == (0, "pylos.toml: ok, 1 warning\n  route.a is without `x`\n")
    assert done.stderr.startswith("warning[P210]: ")
    assert " --> pylos.toml:6:12\n" in done.stderr
    assert done.stderr.endswith("\n\n1 warning\n")


def test_a_file_that_is_not_there(pylos):
    done = pylos("check", "-c", "nowhere.toml")

    assert done.exit_code == 1
    assert done.stderr.startswith("error[P100]: cannot be read: No such file or directory\n --> nowhere.toml\n")


@pytest.mark.parametrize("text", [SOUND, '{"listen": {"a": {"bind": "127.0.0.1:0"}}}', "\ufeff" + SOUND])
def test_what_is_piped_in(pylos, text):
    done = pylos("check", "-c", "-", input=text)

    assert (done.exit_code, done.stdout) == (0, "<stdin>: ok\n")
    assert pylos("check", "-c", "-", input="[listn]").exit_code == 1


def test_others_do_not_read_standard_input(pylos):
    done = pylos("routes", "-c", "-", input=SOUND)

    assert done.exit_code == 2
    assert "only check and fmt read standard input" in done.stderr


def test_a_file_that_is_no_text(pylos, file):
    done = pylos("check", "-c", file(b"a = '\xff'"))

    assert done.exit_code == 1
    assert done.stderr.startswith("error[P100]: is not UTF-8 (byte 6)\n --> pylos.toml:1\n")


def test_a_file_with_a_byte_order_mark_and_carriage_returns(pylos, file):
    done = pylos("check", "-c", file(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()))

    assert done.exit_code == 0


def test_what_a_route_leaves_out_is_shown(pylos, file):
    file(WITHOUT)

    assert pylos("check").stdout == "pylos.toml: ok\n  route.raw is without `browser`\n"
    assert json.loads(pylos("check", "--json").stdout)["without"] == {"raw": ["browser"]}


WITHOUT = """
[pylos]
use = ["browser"]

[listen.http]
bind = "127.0.0.1:8080"

[policy.browser]
type = "headers"
preset = "security"

[route.raw]
match = "/"
respond = { text = "raw" }
without = ["browser"]
"""
