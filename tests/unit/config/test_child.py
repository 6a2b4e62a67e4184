"""A configuration that is a Python program: run in a child, checked here, and told where it is wrong."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from system.processes import is_running

from pylos.config import load, load_text, program
from pylos.errors import ConfigError

SOUND = """\
import pylos

config = pylos.Config(
    listen={"http": pylos.Listen(bind="127.0.0.1:0")},
    route={"site": pylos.Route(match="/", respond=pylos.Respond(text="hello"))},
)
"""
TOML = '[listen.http]\nbind = "127.0.0.1:0"\n[route.site]\nmatch = "/"\nrespond = { text = "hello" }\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def problem(source):
    with pytest.raises(ConfigError) as caught:
        load(source)
    (found,) = caught.value.problems
    return found


# -- sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "files, source",
    [
        ({"gateway.py": SOUND}, "gateway.py"),
        ({"gateway.py": SOUND}, "gateway:config"),
        ({"conf/deep/gateway.py": SOUND}, "conf/deep/gateway.py"),
        ({"conf/__init__.py": "", "conf/deep.py": SOUND}, "conf.deep:config"),
        (
            {"gateway.py": f"def make(port=0):\n    {SOUND.replace(chr(10), chr(10) + '    ')}\n    return config\n"},
            "gateway:make",
        ),
        ({"my-gateway.py": SOUND}, "my-gateway.py"),
        ({"json.py": SOUND}, "json.py"),
    ],
    ids=[
        "file",
        "module",
        "file elsewhere",
        "package",
        "function",
        "no module's name",
        "a module's name that is taken",
    ],
)
def test_it_is_the_same_as_the_file(files, source):
    for name, text in files.items():
        write(name, text)

    assert load(source).table == load_text(TOML, "x.toml").table


@pytest.mark.usefixtures("folder")
def test_the_program_runs_in_another_process_and_not_as_main():
    write("gateway.py", f"import os\nassert __name__ != '__main__'\nassert os.getppid() == {os.getpid()}\n{SOUND}")

    load("gateway.py")
    assert "gateway" not in sys.modules


def test_what_it_imports_from_its_folder_is_watched(folder):
    write("gateway.py", f"import json, names, parts.more\n{SOUND}")
    write("names.py", "")
    write("parts/__init__.py", "")
    write("parts/more.py", "")
    write("unused.py", "")

    assert load("gateway.py").watch == [
        Path("gateway.py"),
        *(folder / name for name in ("names.py", "parts/__init__.py", "parts/more.py")),
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("match", ["match", "mtch"], ids=["sound", "wrong"])
def test_what_it_prints_is_passed_on_to_standard_error(capfd, match):
    printing = "import sys\nprint('one', flush=True)\nprint('two', file=sys.stderr)\n"
    write("gateway.py", printing + SOUND.replace("match=", f"{match}="))

    with suppress(ConfigError):
        load("gateway.py")
    assert capfd.readouterr() == ("", "one\ntwo\n")


@pytest.mark.usefixtures("folder")
def test_of_very_much_that_it_prints_the_last_is_passed_on(capfd):
    write("gateway.py", f"print('x' * 300_000)\nprint('the end')\n{SOUND}")

    load("gateway.py")
    said = capfd.readouterr().err
    assert said.endswith("xxx\nthe end\n")
    assert len(said) == program.MOST_WORDS


@pytest.mark.usefixtures("folder")
def test_what_it_started_ends_with_it_and_is_not_waited_for():
    write(
        "gateway.py",
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open('pid', 'w').write(str(child.pid))\n{SOUND}",
    )
    began = time.monotonic()
    load("gateway.py")

    assert time.monotonic() - began < 8
    assert gone(int(Path("pid").read_text()))


@pytest.mark.usefixtures("folder")
def test_it_has_no_input_and_no_descriptors_but_its_own():
    read, write_end = os.pipe()
    os.set_inheritable(write_end, True)  # noqa: FBT003 - as it is spelled
    try:
        write(
            "gateway.py",
            "import os, sys\nassert sys.stdin.read() == ''\n"
            "open_ones = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))\n"
            "assert len(open_ones) <= 5, open_ones  # three, the result, and the listing itself\n"
            f"assert os.getsid(0) == os.getpid()\n{SOUND}",
        )
        load("gateway.py")
    finally:
        os.close(read)
        os.close(write_end)


# -- wrong -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_a_wrong_document_is_told_at_the_call():
    write("gateway.py", SOUND.replace("respond=pylos.Respond(text", "respnd=pylos.Respond(txt"))
    found = problem("gateway.py")

    assert (found.code, found.path, found.hint) == ("P102", ("route", "site", "respnd"), "did you mean `respond`?")
    assert str(found.place) == "gateway.py:5"
    assert found.place.source == '    route={"site": pylos.Route(match="/", respnd=pylos.Respond(txt="hello"))},'


@pytest.mark.usefixtures("folder")
def test_a_model_in_the_wrong_place():
    write("gateway.py", SOUND.replace('pylos.Listen(bind="127.0.0.1:0")', 'pylos.Route(match="/")'))
    with pytest.raises(ConfigError) as caught:
        load("gateway.py")

    assert ("P104", 4) in [(one.code, one.place.line) for one in caught.value.problems]


@pytest.mark.usefixtures("folder")
def test_values_that_no_file_could_have_are_refused_as_in_one_process():
    wrong = SOUND.replace('bind="127.0.0.1:0"', "bind={1, 2}")
    write("gateway.py", wrong)
    with pytest.raises(ConfigError) as here:
        exec(compile(wrong, "gateway.py", "exec"), {})  # noqa: S102 - the same text in this process

    assert (
        problem("gateway.py").message
        == here.value.problems[0].message
        == "must be a string or a list of strings, not a set"
    )


@pytest.mark.usefixtures("folder")
def test_a_traceback_is_cut_to_the_users_frames():
    write("gateway.py", f"import parts\n{SOUND}\nparts.build(0)\n")
    write("parts.py", "import json\n\ndef build(n):\n    return json.loads('[' * n + '{')\n")
    found = problem("gateway.py")

    assert found.code == "P119"
    assert found.message.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert (Path(found.place.file).name, found.place.line) == ("parts.py", 4)
    assert found.place.source == "    return json.loads('[' * n + '{')"
    assert found.hint == "called from gateway.py:9 in <module>"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "text, line, said",
    [
        ("x = 1\ndef broken(:\n", 2, "SyntaxError: invalid syntax"),
        ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys\nsys.exit('enough')\n", 2, "SystemExit: enough"),
        ("x = 1\n", 0, "gateway.py has no `config`"),
        ("config = {'listen': {}}\n", 0, "`config` is a dict, not a pylos.Config"),
        ("async def config(): ...\n", 0, "`config` is an async function"),
        ("def config(port): ...\n", 0, "`config` takes arguments"),
        ("def config(): ...\n", 0, "`config()` is a NoneType, not a pylos.Config"),
        ("import os\nos._exit(3)\n", 0, "the program ended itself (with 3) before it gave a Config"),
        ("import os\nos.abort()\n", 0, "the program ended itself (by SIGABRT) before it gave a Config"),
    ],
)
def test_a_program_that_fails(text, line, said):
    write("gateway.py", text)
    found = problem("gateway.py")

    assert (found.code, found.place.file, found.place.line) == ("P119", "gateway.py", line)
    assert found.message.startswith(said)


@pytest.mark.usefixtures("folder")
def test_a_module_that_is_not_there():
    assert problem("nothing:config").message == "ModuleNotFoundError: No module named 'nothing'"


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there():
    assert problem("nothing.py").message.startswith("FileNotFoundError: ")


@pytest.mark.usefixtures("folder")
def test_what_it_printed_is_shown_when_it_fails():
    write("gateway.py", "print('looking for the shop')\nraise ValueError('no shop')\n")

    found = problem("gateway.py")

    assert (found.message, found.place.source) == ("ValueError: no shop", "raise ValueError('no shop')")
    assert found.hint == "it wrote:\n    looking for the shop"


@pytest.mark.usefixtures("folder")
def test_a_program_that_does_not_end_is_killed_with_all_that_it_started(monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 6.0)
    write(
        "gateway.py",
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '60'])\n"
        "open('pid', 'w').write(str(child.pid))\ntime.sleep(60)\n",
    )
    found = problem("gateway.py")

    assert found.message == "the program did not end within 6 s"
    assert 'if __name__ == "__main__":' in found.hint
    assert gone(int(Path("pid").read_text()))


@pytest.mark.usefixtures("folder")
def test_a_process_in_a_session_of_its_own_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 6.0)
    write(
        "gateway.py",
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '30'], start_new_session=True)\n"
        "open('pid', 'w').write(str(child.pid))\ntime.sleep(60)\n",
    )
    began = time.monotonic()
    found = problem("gateway.py")

    assert found.message == "the program did not end within 6 s"
    assert time.monotonic() - began < 20
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)


def gone(pid):
    """Whether a process ends, if perhaps nobody asks for its exit code. A killed one may take a moment."""
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(pid)


# -- rights ----------------------------------------------------------------------------------------------------------

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights")
WHO = f"import os\nopen(os.environ['TOLD'], 'a').write(str(os.geteuid()))\n{SOUND}"


@ROOT
def test_a_program_that_nobody_else_may_read_runs_all_the_same(folder, monkeypatch):
    monkeypatch.setenv("TOLD", str(folder / "told"))
    write("gateway.py", WHO)
    Path("gateway.py").chmod(0o600)
    load("gateway.py")

    assert (folder / "told").read_text() == "0"


@ROOT
def test_a_program_that_others_can_read_runs_as_nobody(tmp_path):
    """Whether they can depends on where Python is installed: asked with a child that says all is readable."""
    script = (
        "import os, sys\nfrom pylos import rights\nrights.all_readable = lambda paths: True\n"
        "rights.give_up_root([__import__('pathlib').Path(sys.argv[1])])\n"
        "print(os.getresuid() == (os.getuid(),) * 3, os.getuid() != 0, os.getgroups())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)

    assert done.stdout == "True True []\n"
