"""P2xx: what a document means."""

from __future__ import annotations

from pylos.config.codes.manual import LISTEN, SITE, WEB, Example, Manual

BROWSER = '\n[policy.browser]\ntype = "headers"\npreset = "security"\n'
READERS = '\n[policy.readers]\ntype = "filter"\nallow_methods = ["GET", "HEAD"]\n'
OFFICE = '\n[policy.office]\ntype = "filter"\nallow_ip = ["10.0.0.0/8"]\n'
FORWARD = '\n[route.site]\nmatch = "/api/{rest:path}"\nto = "web"\n'


def items(first: str, second: str) -> Example:
    """Write a document with two routes."""
    routes = ""
    for match, word in ((first, "number"), (second, "name")):
        routes += f'\n[route.by_{word}]\nmatch = "{match}"\nrespond = {{ text = "a {word}" }}\n'
    return Example(LISTEN + routes)


MEANING = (
    Manual(
        "P201",
        "a match that cannot be read",
        "A match is `[METHODS ]host/path`. It has a path, at least `/`; captures are whole segments; "
        "`{rest:path}` is last.",
        "Write it as the message says. The manual's page about routing has the forms.",
        Example(LISTEN + '\n[route.site]\nmatch = "www.example.com"\nrespond = { text = "hello" }\n'),
        Example(LISTEN + '\n[route.site]\nmatch = "www.example.com/{rest:path}"\nrespond = { text = "hello" }\n'),
    ),
    Manual(
        "P202",
        "two routes match the same requests equally well",
        "The order of the file decides nothing, so that it has to be said which of the two takes a request that "
        "fits both.",
        "Make one of them more specific (host, path, methods, `when`), or give it a `priority`.",
        items("/items/{number}", "/items/{name}"),
        items("/items/{number}", "/items/by-name/{name}"),
    ),
    Manual(
        "P203",
        "a match that never decides anything",
        "All requests that it would take are taken by another match, of the same route or of one that is asked before.",
        "Take it out, or make it more specific than the other.",
        Example(LISTEN + '\n[route.site]\nmatch = ["/items/{id}", "/items/{name}"]\nrespond = { text = "an item" }\n'),
        Example(LISTEN + '\n[route.site]\nmatch = "/items/{id}"\nrespond = { text = "an item" }\n'),
        severity="warning",
    ),
    Manual(
        "P204",
        "a change of the path that does not fit the match",
        "A `rewrite`, `strip` or `redirect` uses a capture that not every match of the route has, a prefix with "
        "which not "
        "every match begins, or a host made of captures.",
        "Use what all matches have in common, or make two routes.",
        Example(LISTEN + WEB + FORWARD + 'strip = "/app"\n'),
        Example(LISTEN + WEB + FORWARD + 'strip = "/api"\n'),
    ),
    Manual(
        "P205",
        "a target that cannot be reached as written",
        "It has a path behind it, a scheme that there is none of, no port where one is needed, or stands there twice.",
        "A target is `http://host:port`, `host:port` or `unix:/path`. A path is set by a route's `rewrite`.",
        Example(LISTEN + '\n[upstream.web]\ntargets = ["http://10.0.0.1:8000/api"]\n'),
        Example(LISTEN + WEB),
    ),
    Manual(
        "P206",
        "neither an address nor a network",
        "Addresses are IPv4 or IPv6; a network has a prefix length, and no bits behind its prefix.",
        "Write the network's own address, or the single address without a prefix.",
        Example('[pylos]\ntrusted_proxies = ["10.0.0.1/8"]\n\n' + LISTEN),
        Example('[pylos]\ntrusted_proxies = ["10.0.0.0/8"]\n\n' + LISTEN),
    ),
    Manual(
        "P207",
        "an address that cannot be listened on as written",
        "Or one that two listeners have. That another program listens there, or that it is not this machine's "
        "address, "
        "shows only when the gateway starts: that is no problem of the document.",
        "Write host and port, `0.0.0.0:8080` for all addresses.",
        Example('[listen.http]\nbind = ":8080"\n'),
        Example('[listen.http]\nbind = "0.0.0.0:8080"\n'),
    ),
    Manual(
        "P208",
        "a chain that contains itself",
        "Chains may stand in chains, but not in a circle.",
        "Take one of the names out of its chain.",
        Example(
            LISTEN + '\n[policy.one]\ntype = "chain"\nuse = ["two"]\n\n[policy.two]\ntype = "chain"\nuse = ["one"]\n'
        ),
        Example(LISTEN + BROWSER + '\n[policy.one]\ntype = "chain"\nuse = ["browser"]\n'),
    ),
    Manual(
        "P209",
        "a field that may not be sent or changed",
        "Its name is no token, its value has a control character, it stands twice, or it belongs to the connection.",
        "Correct the name or the value; leave fields of the connection to the gateway.",
        Example(LISTEN + '\n[policy.browser]\ntype = "headers"\nresponse = { set = { connection = "close" } }\n'),
        Example(LISTEN + '\n[policy.browser]\ntype = "headers"\nresponse = { set = { x-served-by = "pylos" } }\n'),
    ),
    Manual(
        "P210",
        "a `without` that takes nothing away",
        "Neither `[pylos]` nor a listener nor a chain gives the route this policy.",
        "Take the name out, or correct it: the route may still have the policy that was meant.",
        Example(LISTEN + BROWSER + SITE + 'without = ["browser"]\n'),
        Example('[pylos]\nuse = ["browser"]\n\n' + LISTEN + BROWSER + SITE + 'without = ["browser"]\n'),
        severity="warning",
    ),
    Manual(
        "P211",
        "a value out of its range",
        "Or one that means nothing here: an `sni` that no `tls` of its listener is called, or a name that two of them "
        "have.",
        "Write a value within the range that the message tells.",
        Example(LISTEN + 'limits = { line = "64KiB", header = "32KiB" }\n'),
        Example(LISTEN + 'limits = { line = "16KiB", header = "32KiB" }\n'),
    ),
    Manual(
        "P212",
        "a required policy is missing on a route",
        "`[pylos] require` names policies that every route must have, directly or through a chain, acting for every "
        "request: with `enforce = 100` and without `if`.",
        "Give the route the policy in `use`. Where it is meant to be without, say so: `without` on that route "
        "exempts it.",
        Example('[pylos]\nrequire = ["readers"]\n\n' + LISTEN + READERS + SITE),
        Example('[pylos]\nrequire = ["readers"]\n\n' + LISTEN + READERS + SITE + 'use = ["readers"]\n'),
    ),
    Manual(
        "P213",
        "another spelling of a path gets around a policy",
        "A request that differs from a narrower match only by a trailing slash, letter case or doubled slashes "
        "falls to a broader route with the same upstream, which lacks a policy of the narrower one; or the narrower "
        "one refuses, with a fixed answer of 400 to 499.",
        "Let the narrower route match the other spelling too, with `{rest:path}`, or give the broader one the policy.",
        Example(
            LISTEN + WEB + OFFICE + '\n[route.admin]\nmatch = "/admin"\nto = "web"\nuse = ["office"]\n'
            '\n[route.site]\nmatch = "/{rest:path}"\nto = "web"\n'
        ),
        Example(
            LISTEN + WEB + OFFICE + '\n[route.admin]\nmatch = "/admin"\nto = "web"\nuse = ["office"]\n'
            '\n[route.site]\nmatch = "/{rest:path}"\nto = "web"\nuse = ["office"]\n'
        ),
        severity="warning",
    ),
    Manual(
        "P214",
        "an `if` that cannot be read",
        "The `if` of a policy is an expression in CEL over `request` and `client`, and true or false. The "
        "message has the "
        "column in the expression.",
        "Correct it. There are `request.method`, `.path`, `.host`, `.scheme`, `.query[name]` and "
        "`.headers[name]`, and "
        "`client.id`, `.ip`, `.plan` and `.claims[name]`.",
        Example(LISTEN + BROWSER + "if = \"request.method = 'POST'\"\n"),
        Example(LISTEN + BROWSER + "if = \"request.method == 'POST'\"\n"),
    ),
    Manual(
        "P215",
        "a `when` that cannot be read",
        "A condition has a regular expression, a name of a field or cookie, or a network that cannot be read.",
        'Correct it. A value is a text, `"re:..."`, or `true` for whatever is there.',
        Example(LISTEN + SITE + 'when = { query = { v = "re:[0-9" } }\n'),
        Example(LISTEN + SITE + 'when = { query = { v = "re:[0-9]" } }\n'),
    ),
    Manual(
        "P216",
        "a limit's key that cannot be had",
        "A part of it is nothing of a request or its client; or it is the key of a policy that is not in Python, that "
        "acts behind the limits, or that a route with this limit does not ask.",
        "Correct it: `client.id`, `client.ip`, `client.claims.NAME`, `request.headers.NAME`, `request.route` and so "
        "on. "
        "A policy in Python that gives keys is `@policy.key`, which a limit brings along, or one of the phases "
        "`identity` and `authorise` that returns `Allow(key=...)`, which the route has to use.",
        Example(LISTEN + '\n[policy.per_client]\ntype = "rate_limit"\nrate = "600/min"\nkey = "client.address"\n'),
        Example(LISTEN + '\n[policy.per_client]\ntype = "rate_limit"\nrate = "600/min"\nkey = "client.ip"\n'),
    ),
)
