"""What two configurations differ in: the meaning, by object and key."""

import contextlib
import copy
import json
import re
import tempfile
import time
from pathlib import Path

import pytest
from certificates import golden_documents

from pylos._core import compile_table
from pylos.config import load, load_text
from pylos.config.diff import Change, changes, rendered, summary
from pylos.config.meaning import BESIDE, Meaning
from pylos.config.precedence import hosts_meet, paths_meet
from pylos.config.spelling import Chains
from pylos.errors import PylosError

BASE = """
[listen.http]
bind = "127.0.0.1:8080"
[upstream.web]
targets = ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]
[policy.shield]
type = "filter"
deny_ip = ["203.0.113.0/24", "198.51.100.0/24"]
[policy.tidy]
type = "headers"
request = { set = { X-Tenant = "shop" } }
[route.site]
match = "GET,HEAD shop.example.com/{rest:path}"
to = "web"
"""


TEST = """
[test.t]
request = "GET http://shop.example.com/"
headers = { X-A = "1" }
expect = { route = "site", headers = { X-A = "1" } }
"""
TEST_OF = """
[test.t]
request = "GET http://shop.example.com/"
expect = { route = "site" }
"""


def document(text):
    return Meaning.of(load_text(text, "pylos.toml"))


def differ(before, after):
    """The lines that tell the difference."""
    return rendered(changes(document(before), document(after)))


def edited(*edits: tuple[str, str]):
    text = BASE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


# -- no difference ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param(BASE, "# a comment\n" + BASE.replace("\n[", "\n\n["), id="formatting"),
        pytest.param(
            BASE,
            edited(('[listen.http]\nbind = "127.0.0.1:8080"\n', "")) + '[listen.http]\nbind="127.0.0.1:8080"\n',
            id="order of tables",
        ),
        pytest.param(
            BASE,
            edited(
                ('"http://10.0.0.1:8000", "http://10.0.0.2:8000"', '"10.0.0.2:8000", "http://10.0.0.1:8000"'),
                ('"203.0.113.0/24", "198.51.100.0/24"', '"198.51.100.0/24", "203.0.113.0/24"'),
                ("GET,HEAD shop", "HEAD,GET SHOP"),
                ("X-Tenant", "x-tenant"),
            ),
            id="order of lists, letter case of names",
        ),
        pytest.param(
            BASE,
            edited(
                (
                    'to = "web"',
                    'to = "web"\ntimeout = "0s"\nupgrade = ["websocket"]\ntimeouts = { tunnel_idle = "60m" }',
                )
            ),
            id="a default that is written",
        ),
        pytest.param(
            edited(('to = "web"', 'to = "web"\nwhen = { header = { X-A = "1" } }')) + TEST,
            edited(('to = "web"', 'to = "web"\nwhen = { header = { x-a = "1" } }')) + TEST.replace("X-", "x-"),
            id="letter case of fields in conditions and tests",
        ),
        pytest.param(
            BASE, edited(("http://10.0.0.1:8000", "HTTP://10.0.0.1:8000/")), id="a slash behind a target, its scheme"
        ),
        pytest.param(BASE, edited(("{rest:path}", "{tail:path}")), id="the name of a capture that nothing uses"),
        pytest.param(
            edited(('to = "web"', 'to = "web"\nuse = ["shield", "tidy"]')),
            edited(('to = "web"', 'to = "web"\nuse = ["both"]'))
            + '[policy.both]\ntype = "chain"\nuse = ["shield", "tidy"]\n',
            id="a chain or its list",
        ),
        pytest.param(
            edited(('bind = "127.0.0.1:8080"', 'bind = "127.0.0.1:8080"\nuse = ["shield", "tidy"]')),
            edited(('bind = "127.0.0.1:8080"', 'bind = "127.0.0.1:8080"\nuse = ["tidy", "shield"]')),
            id="the order of policies of different phases: filters act first",
        ),
    ],
)
def test_no_difference(before, after):
    assert differ(before, after) == []


def test_python_and_file_say_the_same():
    import pylos  # noqa: PLC0415 - only here

    twin = pylos.Config(
        listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
        upstream={"web": pylos.Upstream(targets=["http://10.0.0.2:8000", "http://10.0.0.1:8000"])},
        policy={
            "shield": pylos.Filter(deny_ip=["203.0.113.0/24", "198.51.100.0/24"]),
            "tidy": pylos.Headers(request={"set": {"X-Tenant": "shop"}}),
        },
        route={"site": pylos.Route(match="GET,HEAD shop.example.com/{rest:path}", to="web")},
    )
    assert changes(document(BASE), Meaning.of(twin.loaded)) == []


def test_the_name_of_a_capture_counts_where_it_is_used():
    route = 'to = "web"\nrewrite = "/{rest}"'
    after = edited(('to = "web"', 'to = "web"\nrewrite = "/{tail}"'), ("{rest:path}", "{tail:path}"))

    assert len(differ(edited(('to = "web"', route)), after)) == 3


# -- differences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit, told",
    [
        pytest.param(
            [('"http://10.0.0.2:8000"]', '"http://10.0.0.3:8000"]\ntimeouts = { connect = "250ms" }')],
            [
                "~ [upstream.web]",
                '      targets: - "http://10.0.0.2:8000", + "http://10.0.0.3:8000"',
                '      timeouts.connect: "5s" -> "250ms"',
            ],
            id="keys of an upstream, in their units",
        ),
        pytest.param(
            [('type = "filter"', 'type = "filter"\nmax_body = "10MiB"'), ('= "shop"', '= "store"')],
            [
                "~ [policy.shield]",
                '      max_body: not given -> "10MiB"',
                "~ [policy.tidy]",
                '      request.set.x-tenant: "shop" -> "store"',
            ],
            id="policies",
        ),
        pytest.param(
            [("[policy.shield]", '[policy.per_client]\ntype = "rate_limit"\nrate = "600/min"\n[policy.shield]')],
            [
                "+ [policy.per_client]",
                "      burst = 600",
                '      key = ["client.id"]',
                '      rate = ["600/min"]',
                '      type = "rate_limit"',
            ],
            id="a limit",
        ),
        pytest.param(
            [('bind = "127.0.0.1:8080"', 'bind = ["127.0.0.1:8080", "[::1]:8080"]\nlimits = { body = "1MiB" }')],
            ["~ [listen.http]", '      bind: + "[::1]:8080"', '      limits.body: "0B" -> "1MiB"'],
            id="a listener",
        ),
        pytest.param(
            [("[listen.http]", "[pylos]\nworkers = 2\naccess_log = false\n[listen.http]")],
            [
                "~ [pylos]",
                '      workers: "auto" -> 2',
                '      access_log.path: "-" -> not given',
                "      access_log: not given -> false",
            ],
            id="globals",
        ),
        pytest.param(
            [('to = "web"', "respond = { status = 503, json = { down = true } }")],
            [
                "~ [route.site]",
                '      to: "web" -> not given',
                "      respond.status: not given -> 503",
                '      respond.json: not given -> "{\\"down\\":true}"',
            ],
            id="what becomes of requests",
        ),
        pytest.param(
            [('to = "web"', 'to = "web"\ntimeout = "10s"\nrewrite = "/a/{rest}"')],
            ["~ [route.site]", '      timeout: "0s" -> "10s"', '      rewrite: not given -> "/a/{rest}"'],
            id="a route's timeout and path",
        ),
    ],
)
def test_keys_are_told_as_a_file_spells_them(edit, told):
    lines = differ(BASE, edited(*edit))
    assert sorted(lines) == sorted(told)


def test_added_and_removed_objects_tell_what_they_say_and_no_defaults():
    after = (
        edited(
            ('[policy.tidy]\ntype = "headers"\nrequest = { set = { X-Tenant = "shop" } }\n', ""),
        )
        + '[route.new]\nmatch = "/new"\nto = "web"\n'
    )
    assert differ(BASE, after) == [
        "- [policy.tidy]",
        '      type = "headers"',
        '      request.set.x-tenant = "shop"',
        "+ [route.new]",
        '      match = ["/new"]',
        '      to = "web"',
    ]


def test_effective_policies_that_change_elsewhere():
    """Through [pylos] use: the routes are named, those that change alike together; `without` counts."""
    two = BASE + '[route.other]\nmatch = "/other"\nto = "web"\n[route.free]\nmatch = "/free"\nto = "web"\n'
    before = two.replace('match = "/free"', 'match = "/free"')
    after = '[pylos]\nuse = ["shield"]\n' + before.replace('match = "/free"', 'match = "/free"\nwithout = ["shield"]')
    assert differ(before, after) == [
        "~ [listen.http]",
        '      policies: + "shield"  (through [pylos] use)',
        "~ [route.other], [route.site]",
        '      policies: + "shield"  (through [pylos] use)',
    ]


def test_effective_policies_through_a_chain_and_through_the_route_itself():
    chained = BASE + '[policy.edge]\ntype = "chain"\nuse = ["shield"]\n'
    before = chained.replace('to = "web"', 'to = "web"\nuse = ["edge"]')
    assert differ(before, before.replace('use = ["shield"]', 'use = ["shield", "tidy"]')) == [
        "~ [route.site]",
        '      policies: + "tidy"  (through [policy.edge] use)',
    ]
    assert differ(before, chained) == ["~ [route.site]", '      policies: - "shield"']


def nested(depth, method):
    """Chains in chains."""
    text = BASE + f'[policy.inner]\ntype = "filter"\nallow_methods = ["{method}"]\n'
    text = text.replace("[listen.http]\n", '[listen.http]\nuse = ["c0"]\n')
    for number in range(depth):
        inner = "inner" if number == depth - 1 else f"c{number + 1}"
        text += f'[policy.c{number}]\ntype = "chain"\nuse = ["{inner}"]\n'
    return text


def test_chains_in_chains_of_any_depth():
    started = time.process_time()
    found = changes(document(nested(1100, "GET")), document(nested(1100, "PUT")))

    assert rendered(found) == ["~ [policy.inner]", '      allow_methods: - "GET", + "PUT"']
    assert time.process_time() - started < 10
    told = differ(nested(1100, "GET"), nested(1100, "GET").replace('use = ["inner"]', 'use = ["inner", "shield"]'))
    assert [line.partition("  (")[0] for line in told] == [
        "~ [listen.http]",
        '      policies: + "shield"',
        "~ [route.site]",
        '      policies: + "shield"',
    ]


def chained(**uses):
    return Chains({name: {"kind": {"type": "chain", "use": use}} for name, use in uses.items()})


def test_chains_apart():
    chains = chained(a=["x", "b", "c"], b=["y", "c", "x"], c=["z", "y"])

    assert chains.apart(["w", "a", "w"]) == ["w", "x", "y", "z"]
    assert chains.apart(["c"]) == ["z", "y"]
    assert chained(a=[]).apart(["a"]) == []
    assert chained(a=["x", "b"], b=["a", "y"]).apart(["a"]) == ["x", "y"], "no sound document has such; yet it ends"


def test_each_chain_is_taken_apart_once():
    """Not once for each of the ways to it, of which there are a billion here."""
    chains = chained(**{f"c{number}": [f"c{number + 1}", f"c{number + 1}"] for number in range(30)}, c30=["x"])

    assert chains.apart(["c0"]) == ["x"]


def test_the_order_of_policies_counts():
    more = BASE + '[policy.second]\ntype = "headers"\nrequest = { set = { x-tenant = "b" } }\n'
    before, after = (
        more.replace('to = "web"', f'to = "web"\nuse = ["{a}", "{b}"]')
        for a, b in (("tidy", "second"), ("second", "tidy"))
    )
    assert differ(before, after) == [
        "~ [route.site]",
        '      policies: ["tidy", "second"] -> ["second", "tidy"], the order',
    ]


def test_policies_that_differ_by_listener():
    after = BASE + '[listen.inside]\nbind = "127.0.0.1:8081"\nuse = ["shield"]\n'
    lines = differ(BASE, after)
    assert '      policies by inside: + "shield"  (through [listen.inside] use)' in lines


def test_precedence():
    """The routes that are asked in another order, for requests that both could take."""
    routes = BASE + (
        '[route.a]\nmatch = "/x/{id}"\nto = "web"\n[route.b]\nmatch = "/x/{rest:path}"\nto = "web"\n'
        '[route.far]\nmatch = "/y/{id}"\nto = "web"\n'
    )
    after = routes.replace('match = "/x/{rest:path}"', 'match = "any.example.com/x/{rest:path}"')
    assert differ(routes, after) == [
        "~ [route.b]",
        '      match: - "/x/{rest:path}", + "any.example.com/x/{rest:path}"',
        "      is asked before `a` now, for requests that both could take",
    ]


def test_tests_are_part_of_the_document():
    test = '[test.it]\nrequest = "GET http://shop.example.com/a"\nexpect = { route = "site" }\n'
    found = changes(document(BASE), document(BASE + test))
    assert [(one.kind, one.path) for one in found] == [("added", ("test", "it"))]


def test_each_table_is_compiled_once(monkeypatch):
    before, after = load_text(BASE, "a.toml"), load_text(BASE.replace('"shop"', '"store"'), "b.toml")
    compiled = []
    monkeypatch.setattr(
        "pylos.config.compiled.compile_table", lambda table: compiled.append(table) or compile_table(table)
    )

    assert len(changes(Meaning.of(before), Meaning.of(after))) == 1
    assert compiled == []
    assert len(changes(Meaning(before.document), Meaning(after.document))) == 1
    assert len(compiled) == 2


@pytest.mark.parametrize(
    "more, said",
    [
        ({"colour": "red"}, "cannot read the table: not a table: "),
        ({"match": ["nonsense"]}, "refuses the table: "),
    ],
)
def test_a_table_that_another_version_has_made(more, said):
    document = load_text(BASE, "a.toml").document
    document["route"]["site"] |= more

    with pytest.raises(PylosError, match=f"^this version of Pylos {said}"):
        changes(Meaning(document), Meaning.of(load_text(BASE, "a.toml")))


@pytest.mark.parametrize(
    "text, key",
    [
        ('[policy.n]\ntype = "headers"\nrequest = { set = { x = "1", x_ms = "2" } }\n', "request.set"),
        ('[policy.n]\ntype = "headers"\nresponse = { add = { x = "1", x_bytes = "2" } }\n', "response.add"),
        ('[route.n]\nmatch = "/n"\nrespond = { headers = { x = "1", X_Ms = "2" } }\n', "respond.headers"),
        ('[route.n]\nmatch = "/n"\nto = "web"\nwhen = { header = { x = "1", x_ms = "2" } }\n', "when.header"),
        ('[route.n]\nmatch = "/n"\nto = "web"\nwhen = { query = { x = "1", x_ms = "2" } }\n', "when.query"),
        ('[route.n]\nmatch = "/n"\nto = "web"\nwhen = { cookie = { x = "1", x_bytes = "2" } }\n', "when.cookie"),
        (f'{TEST_OF}headers = {{ x = "1", x_ms = "2" }}\n', "headers"),
        (f'{TEST_OF}as = {{ id = "a", claims = {{ x = "1", x_ms = "2" }} }}\n', "as.claims"),
        (f'{TEST_OF}as = {{ id = "a", claims = {{ deep = {{ x = "1", x_ms = "2" }} }} }}\n', "as.claims.deep"),
    ],
)
def test_names_that_a_user_gives_have_no_units(text, key):
    """So `x` and `x_ms` are two, and a number below one is a number."""
    for old, new in (("1", "3"), ("2", "3")):
        told = differ(BASE + text, BASE + text.replace(f'"{old}"', f'"{new}"'))
        name = re.search(rf'(\w+) = "{old}"', text)[1].lower()
        assert told[1:] == [f'      {key}.{name}: "{old}" -> "{new}"']


def test_claims_are_told_as_they_stand():
    """Their numbers have no unit, and the order of their lists counts."""
    before = BASE + TEST_OF + 'as = { id = "a", claims = { max_body = 1000, roles = ["a", "b"] } }\n'

    assert differ(before, before.replace("1000", "2000").replace('"a", "b"', '"b", "a"')) == [
        "~ [test.t]",
        "      as.claims.max_body: 1000 -> 2000",
        '      as.claims.roles: ["a", "b"] -> ["b", "a"], the order',
    ]


def test_json_and_back():
    found = changes(document(BASE), document(edited(('= "shop"', '= "store"'), ("/{rest:path}", "/"))))
    assert [Change.from_json(one.as_json()) for one in found] == found
    assert found[0].as_json() == {
        "change": "changed",
        "object": ["policy", "tidy"],
        "keys": [{"key": "request.set.x-tenant", "before": "shop", "after": "store"}],
    }


def test_a_summary():
    before = document(BASE)
    assert summary(changes(before, before)) == "nothing changed"
    many = BASE.replace('= "shop"', '= "store"') + "".join(
        f'[route.r{n}]\nmatch = "/r{n}"\nto = "web"\n' for n in range(6)
    )
    told = summary(changes(before, document(many)))
    assert told == "6 added, 1 changed: policy.tidy, route.r0, route.r1, route.r2, route.r3 and 2 more"


@pytest.mark.parametrize(
    "one, other, meet",
    [
        ("a.example", "a.example", True),
        ("a.example", "b.example", False),
        ("", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "b.a.example", False),
        ("**.example", "b.a.example", True),
        ("**.example", "*.a.example", True),
        ("*.example", "*.other", False),
        ("*.example", "example", False),
    ],
)
def test_hosts_that_meet(one, other, meet):
    assert hosts_meet(one, other) is hosts_meet(other, one) is meet


@pytest.mark.parametrize(
    "one, other, meet",
    [
        ("/a", "/a", True),
        ("/a", "/b", False),
        ("/a/{id}", "/{x}/b", True),
        ("/a/{id}", "/a", False),
        ("/a/{rest:path}", "/a", True),
        ("/a/{rest:path}", "/a/b/c", True),
        ("/a/{rest:path}", "/b/c", False),
        ("/a/b", "/a/b/c", False),
    ],
)
def test_paths_that_meet(one, other, meet):
    assert paths_meet(one, other) is paths_meet(other, one) is meet


# -- nothing is overlooked -------------------------------------------------------------------------------------------


def everything():
    """The document with every key; its certificates are made for it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return load(golden_documents(Path(folder)).name).document


EVERYTHING = everything()


def leaves(value, path=()):
    """The paths of all plain values."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if steps is None:
        yield path
    for step, inner in steps or ():
        yield from leaves(inner, (*path, step))


def another(value):
    """A value that means something else."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return f"{value}x" if isinstance(value, str) else None


def altered(path):
    """The whole document with one value changed; None where that makes it unsound."""
    document = copy.deepcopy(EVERYTHING)
    *way, last = path
    table = document
    for step in way:
        table = table[step]
    table[last] = another(table[last])
    table = {key: value for key, value in document.items() if key not in BESIDE}
    try:
        _, compiled = compile_table(json.dumps(table).encode())
    except ValueError:  # of no type that there is
        return None
    return None if compiled is None else Meaning(document, compiled)


def test_every_value_that_changes_is_told_at_its_object():
    told, overlooked, everything = 0, [], Meaning(EVERYTHING)
    for path in leaves(EVERYTHING):
        document = None if path == ("version",) or path[0] == "secrets" or another_is_none(path) else altered(path)
        if document is None:
            continue
        found = changes(everything, document)
        back = changes(document, everything)
        if object_of(path) not in [one.path for one in found] and path[:1] not in [one.path for one in found]:
            overlooked.append(path)
        assert {one.path for one in back} == {one.path for one in found}
        told += 1
    assert told > 50
    # What comes of `use` is told, at whatever it comes to; a body's type is that of the key it stands under. Of
    # certificates is told what stands in them, see test_certificates.py.
    untold = {"use", "without", "content_type", "certificates", "certificate", "ca", "crls"}
    assert [path for path in overlooked if not untold & set(path)] == []


def object_of(path):
    """The path of what a file calls it: what is wanted of `acme` stands beside the tables."""
    if path[0] != "acme":
        return path[:2]
    return ("acme" if path[1] == "tables" else "tls", path[2])


def another_is_none(path):
    value = EVERYTHING
    for step in path:
        value = value[step]
    return another(value) is None
