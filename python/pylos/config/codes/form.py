"""P1xx: the form of a document."""

from __future__ import annotations

from pylos.config.codes.manual import LISTEN, SITE, WEB, Example, Made, Manual


def token(value: str) -> str:
    """Write a policy that sends a token to the upstream."""
    return f'\n[policy.token]\ntype = "headers"\nrequest = {{ set = {{ authorization = {value} }} }}\n'


def shown(cert: str, key: str) -> str:
    """Write a listener with a certificate."""
    listen = '[listen.https]\nbind = "0.0.0.0:443"\ntls = "shop"\n'
    return f'{listen}\n[tls.shop]\ncert = "{cert}"\nkey = "{key}"\n'


AUTOMATIC = (
    '[listen.https]\nbind = "0.0.0.0:443"\ntls = "shop"\n\n[acme.letsencrypt]\nemail = "ops@example.com"\n\n'
    '[tls.shop]\nacme = "letsencrypt"\n'
)
"""All but the domains of a certificate that comes by itself."""

FORM = (
    Manual(
        "P100",
        "the file cannot be read",
        "It is not there, may not be read, or is not UTF-8.",
        "Look at the path and its rights: Pylos reads it as the user that it runs as. Save the file as UTF-8.",
    ),
    Manual(
        "P101",
        "the text is no TOML",
        "The text breaks the rules of TOML at this place. Nothing behind it was looked at.",
        "Look at the place, and at the end of the line above: what is missing is most often a quote or a bracket.",
        Example('[listen.http]\nbind = "127.0.0.1:8080\n'),
        Example(LISTEN),
    ),
    Manual(
        "P102",
        "unknown key",
        "A table has no such key. A misspelled key would silently mean its default, so none is passed over.",
        "The help has the key that was probably meant, or those that there are. Every key stands in the reference.",
        Example(LISTEN + 'limit = { body = "1MiB" }\n'),
        Example(LISTEN + 'limits = { body = "1MiB" }\n'),
    ),
    Manual(
        "P103",
        "unknown kind of table",
        "A document has tables of fixed kinds, `[kind.NAME]`. Defaults there are for some kinds only.",
        "Use one of the kinds that the help names.",
        Example('[listener.http]\nbind = "127.0.0.1:8080"\n'),
        Example(LISTEN),
    ),
    Manual(
        "P104",
        "a value of the wrong type, or not one of those allowed",
        "Also a table without a name, and a name with other characters than letters, digits, `_` and `-`.",
        "Write the value in the form that the message asks for. The reference has an example of every key.",
        Example("[listen.http]\nbind = 8080\n"),
        Example('[listen.http]\nbind = "127.0.0.1:8080"\n'),
    ),
    Manual(
        "P105",
        "something required is missing",
        "A key, a route's `to`, `redirect` or `respond`, or any `[listen.NAME]` at all.",
        "Add what the message names.",
        Example(LISTEN + '\n[route.site]\nmatch = "/{rest:path}"\n'),
        Example(LISTEN + SITE),
    ),
    Manual(
        "P106",
        "unknown type of policy",
        "`type` says what a policy does and which keys it has.",
        "Use one of the types that the help names.",
        Example(LISTEN + '\n[policy.shield]\ntype = "firewall"\n'),
        Example(LISTEN + '\n[policy.shield]\ntype = "filter"\n'),
    ),
    Manual(
        "P107",
        "a name that is not there",
        "Tables refer to each other by name: an upstream in `to`, a policy in `use`, `without` or `require`, and in a "
        "test a route, an upstream, a listener or a policy. No table has this name.",
        "Correct the name, or add the table.",
        Example(LISTEN + '\n[route.site]\nmatch = "/{rest:path}"\nto = "web"\n'),
        Example(LISTEN + WEB + '\n[route.site]\nmatch = "/{rest:path}"\nto = "web"\n'),
    ),
    Manual(
        "P108",
        "two keys contradict each other",
        "Or one does nothing beside the other: two actions of a route, two bodies of an answer, `rewrite` "
        "without `to`, a policy in `use` and in `without` of one route.",
        "Take one of the two out. What should happen for some requests only is a route of its own.",
        Example(LISTEN + SITE + 'redirect = "https://www.example.com/{rest}"\n'),
        Example(LISTEN + '\n[route.site]\nmatch = "/{rest:path}"\nredirect = "https://www.example.com/{rest}"\n'),
    ),
    Manual(
        "P109",
        "a duration, size or rate without a sound number and unit",
        "A number alone does not say whether seconds or milliseconds are meant, so the unit is always written.",
        'Write a whole number and its unit: "250ms", "3s", "5m", "1h"; "64KiB", "10MiB"; "600/min".',
        Example(LISTEN + 'timeouts = { idle = "75" }\n'),
        Example(LISTEN + 'timeouts = { idle = "75s" }\n'),
    ),
    Manual(
        "P110",
        "not in this version",
        "The kind, key, type or value is part of the language, but a later version of Pylos is the first to run "
        "it. It is "
        "told once, and nothing that depends on it is told as well.",
        "Take it out, or use the version that has it. The reference of a version lists what it runs.",
        Example(LISTEN + '\n[upstream.web]\ntargets = ["10.0.0.1:8000"]\nsticky = { cookie = "web" }\n'),
        Example(LISTEN + WEB),
    ),
    Manual(
        "P111",
        "a variable without a value",
        "`${NAME}` in a string is replaced by the environment's variable, which is not set; or the `${` cannot "
        "be read.",
        "Set the variable where Pylos is started, or give a default: `${NAME:-default}`. A literal `${` is "
        "written `$${`.",
        Example('[listen.http]\nbind = "${GATEWAY_ADDRESS}:8080"\n'),
        Example('[listen.http]\nbind = "${GATEWAY_ADDRESS:-127.0.0.1}:8080"\n'),
    ),
    Manual(
        "P112",
        "an included file that is not there",
        "A file that `include` names is not there, cannot be read, or includes itself; or the folder in which a "
        "pattern looks is not there. Nothing else was looked at, since all that the file holds would be missing.",
        "A path starts at the folder of the file that has the `include`. A pattern with `*` may find nothing, in a "
        "folder that is there.",
        Example('include = ["routes.toml"]\n\n' + LISTEN),
        Example('include = ["*.routes.toml"]\n\n' + LISTEN),
    ),
    Manual(
        "P113",
        "the same table in two files",
        "Files are put together table by table. A table is whole in one file: two halves of it would hide each other.",
        "Write the table once, or give one of the two another name. What several objects share is a default.",
        Example('include = ["more.toml"]\n\n' + LISTEN, files={"more.toml": '[listen.http]\nbind = "[::1]:8080"\n'}),
        Example('include = ["more.toml"]\n\n' + LISTEN, files={"more.toml": '[listen.http6]\nbind = "[::1]:8080"\n'}),
    ),
    Manual(
        "P114",
        "a secret that cannot be read",
        'A secret is a file or a variable, `{ file = "..." }` or `{ env = "..." }`. This one is not there, may not be '
        "read, or is empty. What is in it is never shown.",
        "Look at the file's path and rights, or set the variable where Pylos is started.",
        Example(LISTEN + token('{ file = "tokens" }'), files={"token": "Bearer correct horse\n"}),
        Example(LISTEN + token('{ file = "token" }'), files={"token": "Bearer correct horse\n"}),
    ),
    Manual(
        "P115",
        "a default that cannot apply",
        "A key of `[defaults.upstream]` asks for what the targets of an upstream do not speak: a path, of a target "
        "that knows none. The message names both places. Or `without` is a default of routes: only a route itself can "
        "be without a policy.",
        "Give that upstream a key of its own, or switch the inherited one off: `health = false`. Write `without` in "
        "each route that is meant.",
        Example(
            LISTEN + '\n[defaults.upstream]\nhealth = { path = "/healthz" }\n'
            '\n[upstream.database]\ntargets = ["tcp://10.0.4.1:5432"]\n',
            beside=("P110",),
        ),
        Example(LISTEN + '\n[defaults.upstream]\nhealth = { path = "/healthz" }\n' + WEB + "health = false\n"),
    ),
    Manual(
        "P116",
        "`silence` names what is no warning",
        "`silence` turns warnings off in the table that it stands in. An error cannot be turned off.",
        "Name codes of warnings only; correct what an error is about.",
        Example(LISTEN + 'silence = ["P102"]\n'),
        Example(LISTEN + 'silence = ["P203"]\n'),
    ),
    Manual(
        "P117",
        "a test that fails",
        "A `[test.NAME]` asks where a request goes, and that is not where it is expected to go. A document "
        "whose tests "
        "fail is not used.",
        "Correct the routes, or what is expected. `pylos explain` tells the whole way of a request.",
        Example(LISTEN + SITE + '\n[test.home]\nrequest = "GET /"\nexpect = { route = "site", status = 404 }\n'),
        Example(LISTEN + SITE + '\n[test.home]\nrequest = "GET /"\nexpect = { route = "site", status = 200 }\n'),
    ),
    Manual(
        "P118",
        "a test that cannot be run as written",
        "The request of a `[test.NAME]` is none that a client could send: its URL, a field or `peer` cannot be read.",
        "Write the request as method and URL, or method and path.",
        Example(LISTEN + SITE + '\n[test.home]\nrequest = "GET ftp://example.com/"\nexpect = { route = "site" }\n'),
        Example(LISTEN + SITE + '\n[test.home]\nrequest = "GET http://example.com/"\nexpect = { route = "site" }\n'),
    ),
    Manual(
        "P119",
        "the program that makes the configuration failed",
        "A Python program raised an exception, did not end in time, or built no `pylos.Config`. The place is "
        "the last line "
        "of the program's own.",
        "Run it by itself, `python gateway.py`. It only builds `config = pylos.Config(...)`; what waits or "
        "serves belongs "
        'under `if __name__ == "__main__":`.',
        Example(
            "import pylos\n\nports = {}\n"
            'config = pylos.Config(listen={"http": pylos.Listen(bind=f"127.0.0.1:{ports[\'http\']}")})\n',
            name="gateway.py",
        ),
        Example(
            'import pylos\n\nports = {"http": 8080}\n'
            'config = pylos.Config(listen={"http": pylos.Listen(bind=f"127.0.0.1:{ports[\'http\']}")})\n',
            name="gateway.py",
        ),
    ),
    Manual(
        "P120",
        "the text is no JSON",
        "A file whose name ends in `.json` is read as JSON, strictly: no comments, no comma before an end, no "
        "key twice.",
        "Look at the place, and at what stands before it.",
        Example('{"listen": {"http": {"bind": "127.0.0.1:8080"},}}\n', name="gateway.json"),
        Example('{"listen": {"http": {"bind": "127.0.0.1:8080"}}}\n', name="gateway.json"),
    ),
    Manual(
        "P121",
        "a policy in Python that cannot be used",
        "What `call` names cannot be imported or is no policy, or its settings are not what its model takes. It is "
        "looked for in the folder of the configuration first, then where Python looks for modules.",
        "Correct the name or the settings, or the module: its traceback is shown where it raises.",
        Example(
            LISTEN + SITE + 'use = ["staff"]\n\n[policy.staff]\ntype = "python"\ncall = "policies:staf"\n',
            files={
                "policies.py": "from pylos import Deny, policy\n\n\n@policy\ndef staff(request):\n"
                '    if "x-staff" not in request.headers:\n        return Deny(code="staff_only")\n'
            },
        ),
        Example(
            LISTEN + SITE + 'use = ["staff"]\n\n[policy.staff]\ntype = "python"\ncall = "policies:staff"\n',
            files={
                "policies.py": "from pylos import Deny, policy\n\n\n@policy\ndef staff(request):\n"
                '    if "x-staff" not in request.headers:\n        return Deny(code="staff_only")\n'
            },
        ),
    ),
    Manual(
        "P122",
        "a certificate or a key that cannot be used",
        "A file of `cert` or `key` is not there, may not be read, is no PEM or is cut off; or what is in it is no "
        "certificate of a server with names (subjectAltName), is not followed by those that have issued it, has a kind "
        "of key that there is no use for, needs a passphrase, or the two do not belong together. The message names the "
        "file and the line in it. What is in a key is never shown. A key, a certificate or a list stands not in the "
        'document itself, but in a file, and a key may be in a variable: `key = { env = "TLS_KEY" }`.',
        "Do what the help says, most often: write the files again, whole, and both together. A gateway that runs keeps "
        "what it has until they fit, and then takes them over by itself.",
        Example(shown("shop.pem", "blog.key"), made=(Made("shop"), Made("blog"))),
        Example(shown("shop.pem", "shop.key"), made=(Made("shop"),)),
    ),
    Manual(
        "P123",
        "a certificate that does not hold, or not for long",
        "It has expired, is not valid yet, or expires within 14 days (within a third of its life, where that is less). "
        "Of the intermediate ones the same is told. It is looked at when the configuration is read, and each day "
        "anew while a gateway runs.",
        "Renew it, and put the new one in the place of the old one: it is taken over by itself. `pylos certs` lists "
        "all of them with their days.",
        Example(shown("shop.pem", "shop.key"), made=(Made("shop", days=-2),)),
        Example(shown("shop.pem", "shop.key"), made=(Made("shop"),)),
        severity="warning",
    ),
    Manual(
        "P124",
        "a certificate that no authority can give",
        "One of `domains` is no domain, no wildcard and no address; or none of the `challenges` can prove that it is "
        "ours: a wildcard is proven by `dns-01` alone, an address never by it. Whether the authority is willing is not "
        "asked: what it says later is told by `pylos certs`.",
        "Write the domain as clients do, without a scheme and a path. For a wildcard, add `dns-01` and say by `dns` "
        "how records are made.",
        Example(AUTOMATIC + 'domains = ["*.example.com"]\n'),
        Example(AUTOMATIC + 'domains = ["shop.example.com"]\n'),
    ),
)
