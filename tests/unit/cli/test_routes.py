import json

DOCUMENT = """\
[listen.http]
bind = "127.0.0.1:0"
[listen.ops]
bind = "127.0.0.2:0"
serve = ["health"]
[upstream.web]
targets = ["localhost:8000"]
[policy.shield]
type = "filter"
[route.rest]
match = "/{rest:path}"
to = "web"
use = ["shield"]
[route.one]
match = "GET,HEAD shop.example.com/items/{id}"
respond = { status = 204 }
"""


def test_the_most_specific_comes_first(pylos, file):
    done = pylos("routes", "-c", file(DOCUMENT))

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "ROUTE  METHODS   HOST              PATH          ACTION       LISTENERS  POLICIES",
        "one    GET,HEAD  shop.example.com  /items/{id}   respond 204  http       -",
        "rest   any       any               /{rest:path}  forward web  http       shield",
    ]


def test_for_programs(pylos, file):
    done = pylos("routes", "-c", file(DOCUMENT), "--json")

    assert [row["route"] for row in json.loads(done.stdout)] == ["one", "rest"]


def test_a_wrong_file_is_told_instead(pylos, file):
    done = pylos("routes", "-c", file("[pylos]\nworkers = 0"))

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("pylos.toml: error P105: ")
