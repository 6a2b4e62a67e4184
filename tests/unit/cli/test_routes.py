import json
import re

import pytest
from documents import LISTENERS

from pylos.cli.routes import HEADS

DOCUMENT = (
    LISTENERS
    + """\
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
)


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
    assert done.stderr.startswith("error[P105]: ")


MORE = """\
[route.beta]
match = "/items/{id}"
when = { header = { x-beta = true } }
to = "web"
[route.loud]
match = ["/items/{id}", "/items/{name}"]
priority = 7
to = "web"
silence = ["P213"]
"""


def test_conditions_and_priority_and_what_is_shadowed_have_columns_where_there_are_any(pylos, file):
    done = pylos("routes", "-c", file(DOCUMENT + MORE))
    heads, *rows = [re.split(r"  +", line) for line in done.stdout.splitlines()]

    assert heads == list(HEADS)
    assert [[row[0], *row[3:6], row[-1]] for row in rows] == [
        ["one", "/items/{id}", "-", "-", "-"],
        ["beta", "/items/{id}", "header `x-beta` is there", "-", "-"],
        ["loud", "/items/{id}", "-", "7", "-"],
        ["loud", "/items/{name}", "-", "7", "shadowed"],
        ["rest", "/{rest:path}", "-", "-", "-"],
    ]


def test_what_is_shadowed_for_programs(pylos, file):
    done = pylos("routes", "-c", file(DOCUMENT + MORE), "--json")
    told = {(row["route"], row["path"]): row["shadowed_by"] for row in json.loads(done.stdout)}

    assert {key: by for key, by in told.items() if by} == {("loud", "/items/{name}"): "loud"}


@pytest.mark.parametrize("match, silence", [("/%41", ""), ("/A", 'silence = ["P203"]')])
def test_what_is_shadowed_is_marked_however_it_is_spelled_and_silenced_or_not(pylos, file, match, silence):
    more = f'[route.a]\nmatch = ["/A", "{match}"]\nto = "web"\n{silence}\n'
    rows = pylos("routes", "-c", file(DOCUMENT + more)).stdout.splitlines()

    assert [row.endswith("shadowed") for row in rows if row.startswith("a ")] == [False, True]
