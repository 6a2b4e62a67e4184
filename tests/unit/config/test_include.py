"""One document of several files: what belongs together, where its mistakes stand, and what cannot be put together."""

import os
from pathlib import Path

import pytest

import pylos
from pylos.config import load
from pylos.errors import ConfigError

LISTEN = '[listen.http]\nbind = "127.0.0.1:0"\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_files(**files) -> None:
        for name, text in files.items():
            path = Path(name.replace("__", "/").replace("_toml", ".toml").replace("_json", ".json"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write_files


def refused(path="main.toml"):
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.problems


def told(problems):
    return [(problem.code, str(problem.place)) for problem in problems]


def route(name, **more):
    keys = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[route.{name}]\nmatch = "/{name}"\nrespond = {{}}\n{keys}'


def test_files_become_one_document(write):
    write(
        main_toml=f'include = ["conf.d/*.toml", "more.json"]\n{LISTEN}',
        conf_d__a_toml="",
        more_json='{"route": {"c": {"match": "/c", "respond": {"status": 204}}}}',
    )
    write(**{"conf.d__a_toml": route("a"), "conf.d__b_toml": route("b"), "conf.d__notes.txt": "no TOML"})

    loaded = load("main.toml")

    assert list(loaded.config.route) == ["a", "b", "c"]
    assert loaded.watch == [
        Path("main.toml"),
        Path("conf.d"),
        Path("conf.d/a.toml"),
        Path("conf.d/b.toml"),
        Path("more.json"),
    ]


def test_names_reach_over_files(write):
    write(
        main_toml=f'include = ["a.toml", "b.toml"]\n{LISTEN}',
        a_toml='[route.a]\nmatch = "/"\nto = "web"\nuse = ["p"]\n',
        b_toml='[upstream.web]\ntargets = ["localhost:1"]\n[policy.p]\ntype = "filter"\n',
    )

    assert load("main.toml").config.route["a"].to == "web"


def test_a_pattern_starts_at_the_folder_of_its_file(write):
    write(
        main_toml=f'include = ["sub/a.toml"]\n{LISTEN}',
        sub__a_toml='include = ["deep/*.toml"]\n',
        sub__deep__b_toml=route("b"),
    )

    assert list(load("main.toml").config.route) == ["b"]


def test_a_variable_in_an_include(write, monkeypatch):
    monkeypatch.setenv("PYLOS_TEST_PLACE", "test")
    write(main_toml=f'include = ["${{PYLOS_TEST_PLACE}}.toml"]\n{LISTEN}', test_toml=route("a"))

    assert list(load("main.toml").config.route) == ["a"]


def test_a_variable_in_an_include_that_is_not_set(write):
    write(
        main_toml=f'include = ["a.toml", "${{PYLOS_TEST_UNSET}}.toml"]\n{LISTEN}', a_toml='include = [3, "none.toml"]'
    )

    assert told(refused()) == [("P104", "a.toml:1:12"), ("P112", "a.toml:1:15"), ("P111", "main.toml:1:23")]


def test_mistakes_stand_in_their_own_files(write):
    write(
        main_toml=f'include = ["sub/*.toml"]\n{LISTEN}mistake = 1\n',
        sub__a_toml='\n\n[route.a]\nmatch = "/"\nto = "wbe"\n',
        sub__b_toml='[upstream.web]\ntargets = ["ftp://x"]\n[pylos]\ndrain = "${PYLOS_TEST_UNSET}"\n',
    )

    assert told(refused()) == [
        ("P102", "main.toml:4:1"),
        ("P107", "sub/a.toml:5:6"),
        ("P205", "sub/b.toml:2:12"),
        ("P111", "sub/b.toml:4:10"),
    ]


def test_a_wildcard_may_find_nothing_and_never_its_own_file(write):
    write(main_toml=f'include = ["*.toml", "empty/*.toml", "empty/*/*.toml"]\n{LISTEN}', other_toml=route("a"))
    write(**{"empty__notes.txt": ""})

    assert list(load("main.toml").config.route) == ["a"]


def test_a_wildcard_in_a_folder_that_is_not_there(write):
    write(main_toml=f'include = ["conf.d/*/site.toml"]\n{LISTEN}')
    (problem,) = refused()

    assert (problem.code, str(problem.place)) == ("P112", "main.toml:1:12")
    assert problem.message == "there is no folder `conf.d`"


def test_the_folders_that_wildcards_find_are_watched(write):
    write(main_toml=f'include = ["conf.d/*/site.toml", "deep/**/*.toml"]\n{LISTEN}')
    write(**{"conf.d__a__site_toml": route("a"), "conf.d__b__notes.txt": "", "deep__x__y__c_toml": route("c")})

    folders = [path for path in load("main.toml").watch if path.is_dir()]
    assert {str(path) for path in folders} == {"conf.d", "conf.d/a", "conf.d/b", "deep", "deep/x", "deep/x/y"}


def test_a_file_is_read_once(write):
    write(main_toml=f'include = ["a.toml", "*.toml", "./a.toml", "b.toml"]\n{LISTEN}', a_toml=route("a"))
    write(b_toml='include = ["a.toml"]\n')

    assert list(load("main.toml").config.route) == ["a"]


def test_a_name_that_is_not_there(write):
    write(main_toml=f'include = ["conf.d/a.toml"]\n{LISTEN}[route.a]\nmatch = "/"\nto = "in_the_missing_file"')

    (problem,) = refused()
    assert (problem.code, str(problem.place)) == ("P112", "main.toml:1:12")
    assert problem.message == "`conf.d/a.toml` cannot be read: No such file or directory"


def test_a_file_that_includes_itself_on_the_way(write):
    write(main_toml=f'include = ["a.toml"]\n{LISTEN}', a_toml='include = ["b.toml"]', b_toml='include = ["a.toml"]')

    (problem,) = refused()
    assert (problem.code, str(problem.place)) == ("P112", "b.toml:1:12")
    assert problem.message == "`a.toml` includes itself: main.toml -> a.toml -> b.toml -> a.toml"


def test_a_file_that_includes_itself(write):
    write(main_toml=f'include = ["main.toml"]\n{LISTEN}')

    assert told(refused()) == [("P112", "main.toml:1:12")]


def test_a_file_that_is_not_utf_8(write):
    write(main_toml=f'include = ["a.toml"]\n{LISTEN}')
    Path("a.toml").write_bytes(b"\xff")

    assert told(refused()) == [("P112", "main.toml:1:12")]


def test_a_name_that_no_file_can_have(write):
    write(main_toml=f'include = ["a\\u0000.toml", "b"]\n{LISTEN}')

    assert told(refused()) == [("P112", "main.toml:1:12"), ("P112", "main.toml:1:28")]


def test_what_is_no_toml_is_told_in_its_file_and_nothing_of_what_is_missing_with_it(write):
    write(
        main_toml=f'include = ["a.toml", "b.json"]\n{LISTEN}[route.a]\nmatch = "/"\nto = "in_a"\n',
        a_toml="[upstream.in_a\n",
        b_json="{]",
    )

    assert told(refused()) == [("P101", "a.toml:1:15"), ("P120", "b.json:1:2")]


@pytest.mark.parametrize(
    "include, column",
    [('"a.toml"', 11), ("3", 11), ('["a.toml", 3]', 22), ("{ x = 1 }", 11)],
)
def test_a_form_that_it_cannot_have(write, include, column):
    write(main_toml=f"include = {include}\n{LISTEN}", a_toml=route("a"))

    assert told(refused()) == [("P104", f"main.toml:1:{column}")]


@pytest.mark.parametrize(
    "first, second, place",
    [
        (route("a"), route("a"), "b.toml:1:8"),
        ("[pylos]\nworkers = 1\n", '[pylos]\ndrain = "1s"\n', "b.toml:1:2"),
        ("[defaults.route]\nuse = []\n", "[defaults.route]\nuse = []\n", "b.toml:1:11"),
    ],
)
def test_the_same_table_in_two_files(write, first, second, place):
    write(main_toml=f'include = ["a.toml", "b.toml"]\n{LISTEN}', a_toml=first, b_toml="\n" + second)

    (problem,) = refused()
    line, column = (int(number) for number in place.split(":")[1:])
    assert (problem.code, str(problem.place)) == ("P113", f"b.toml:{line + 1}:{column}")
    assert problem.message == f"stands in a.toml:1:{column} already"
    assert [str(place) for place, _ in problem.also] == [f"a.toml:1:{column}"]


def test_a_table_that_stands_in_a_file_and_in_what_it_includes(write):
    write(main_toml=f'include = ["a.toml"]\n{LISTEN}', a_toml=LISTEN)

    assert told(refused()) == [("P113", "a.toml:1:9")]


def test_a_missing_listener_is_told_of_the_first_file(write):
    write(main_toml='include = ["a.toml"]', a_toml=route("a"))

    assert told(refused()) == [("P105", "main.toml")]


def test_the_twin_includes_from_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text(route("a"))
    script = tmp_path / "gateway.py"
    script.write_text(
        'import pylos\nconfig = pylos.Config(listen={"a": {"bind": "127.0.0.1:0"}}, include=["a.toml"])\n'
    )
    monkeypatch.chdir("/")

    made: dict[str, pylos.Config] = {}
    exec(compile(script.read_text(), str(script), "exec"), made)  # noqa: S102 - a program of ours

    assert list(made["config"].loaded.config.route) == ["a"]
    assert made["config"].loaded.watch == [tmp_path / "a.toml"]


def test_brackets_in_the_name_of_a_folder_are_no_wildcards(write):
    write(**{"x[prod]__conf.d__a.toml": route("a"), "x[prod]__main.toml": f'include = ["conf.d/*.toml"]\n{LISTEN}'})

    loaded = load("x[prod]/main.toml")

    assert list(loaded.config.route) == ["a"]
    assert Path("x[prod]/conf.d") in loaded.watch


def test_a_pipe_is_not_waited_for(write):
    write(main_toml=f'include = ["pipe"]\n{LISTEN}')
    os.mkfifo("pipe")

    assert told(refused()) == [("P112", "main.toml:1:12")]
