import json

WRONG = '[listen.http]\nbind = "127.0.0.1:0"\n[route.a]\nmatch = "/"\nto = "web"\ntimeout = 3\n'
SOUND = '[listen.http]\nbind = "127.0.0.1:0"\n[route.a]\nmatch = "/"\nrespond = { text = "ok" }\n'


def test_a_sound_file(pylos, file):
    done = pylos("check", "-c", file(SOUND))

    assert (done.exit_code, done.stdout, done.stderr) == (0, "pylos.toml: ok\n", "")


def test_the_default_file(pylos, file):
    file(SOUND)

    assert pylos("check").exit_code == 0


def test_no_file_at_all(pylos):
    done = pylos("check")

    assert done.exit_code == 2
    assert "there is no pylos.toml" in done.stderr


def test_a_wrong_file(pylos, file):
    done = pylos("check", "-c", file(WRONG))

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "pylos.toml:5:6: error P107: [route.a] to: there is no upstream `web`",
        '    5 | to = "web"',
        "      |      ^^^^^",
        "      = add [upstream.web]",
        "pylos.toml:6:11: error P109: [route.a] timeout: 3 has no unit",
        "    6 | timeout = 3",
        "      |           ^",
        '      = write "3ms", "3s", "3m" or "3h"',
        "pylos.toml: 2 errors",
    ]


def test_a_wrong_file_as_json(pylos, file):
    done = pylos("check", "-c", file(WRONG), "--json")
    told = json.loads(done.stdout)

    assert done.exit_code == 1
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
        "length": 5,
    }


def test_a_sound_file_as_json(pylos, file):
    done = pylos("check", "-c", file(SOUND), "--json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, {"file": "pylos.toml", "ok": True, "problems": []})


def test_a_warning_is_no_failure(pylos, file):
    done = pylos("check", "-c", file(SOUND + 'without = ["x"]\n[policy.x]\ntype = "filter"\n'))

    assert (done.exit_code, done.stdout) == (0, "pylos.toml: 1 warning\n")
    assert "pylos.toml:6:12: warning P210: [route.a] without[0]: " in done.stderr


def test_a_file_that_is_not_there(pylos):
    done = pylos("check", "-c", "nowhere.toml")

    assert done.exit_code == 1
    assert "nowhere.toml: error P100: cannot be read: No such file or directory\n" in done.stderr


def test_a_file_that_is_no_text(pylos, file):
    done = pylos("check", "-c", file(b"a = '\xff'"))

    assert done.exit_code == 1
    assert "pylos.toml: error P100: is not UTF-8 (byte 6)\n" in done.stderr


def test_a_file_with_a_byte_order_mark_and_carriage_returns(pylos, file):
    done = pylos("check", "-c", file(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()))

    assert done.exit_code == 0
