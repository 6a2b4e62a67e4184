"""Documents that have the right shape and mean nothing sound: what the compiler of the table says about them.

The places are those of the document, and all names are spelled as it spells them.
"""

import pytest
from sayings import REST, Wrong, lines_of, report

TABLE = [
    Wrong(
        "a match that cannot be read",
        '[route.a]\nmatch = ["/ok", "shop.example.com"]\nto = "web"',
        """
        x.toml:2:17: error P201: [route.a] match[1]: `shop.example.com` has no path
            2 | match = ["/ok", "shop.example.com"]
              |                 ^^^^^^^^^^^^^^^^^^
              = every path of a host is `shop.example.com/{rest:path}`
        """,
    ),
    Wrong(
        "two routes for the same requests",
        '[route.a]\nmatch = "/{x}"\nto = "web"\n[route.b]\nmatch = ["/b", "/{y}"]\nto = "web"',
        """
        x.toml:5:16: error P202: [route.b] match[1]: `/{y}` is matched just as well by `route.a`
            5 | match = ["/b", "/{y}"]
              |                ^^^^^^
              = make one of them more specific (host, path, methods, `when`), or give one a larger `priority`
        """,
    ),
    Wrong(
        "a capture that is not there",
        '[route.a]\nmatch = "/{id}"\nto = "web"\nrewrite = "/x/{idd}"',
        """
        x.toml:4:11: error P204: [route.a] rewrite: `{idd}` is not captured by the match
            4 | rewrite = "/x/{idd}"
              |           ^^^^^^^^^^
              = the match captures `{id}`
        """,
    ),
    Wrong(
        "a redirect that is no URL",
        '[route.a]\nmatch = "/"\nredirect = "example.com/x"',
        """
        x.toml:3:12: error P204: [route.a] redirect: `example.com/x` is neither a URL nor an absolute path
            3 | redirect = "example.com/x"
              |            ^^^^^^^^^^^^^^^
              = `https://www.example.com/{rest}` or `/new/{rest}`
        """,
    ),
    Wrong(
        "a limit that counts by nothing that there is",
        '[policy.a]\ntype = "rate_limit"\nrate = "1/s"\nkey = ["client.ip", "client.addr"]',
        """
        x.toml:4:21: error P216: [policy.a] key[1]: "client.addr" is nothing of a request or its client
            4 | key = ["client.ip", "client.addr"]
              |                     ^^^^^^^^^^^^^
              = such as `client.ip`, `client.claims.NAME`, `request.headers.NAME`, `policy.NAME`
        """,
    ),
    Wrong(
        "a target that is no address",
        '[upstream.b]\ntargets = ["localhost:1", "ftp://files"]',
        """
        x.toml:2:27: error P205: [upstream.b] targets[1]: `ftp` is not a scheme for targets
            2 | targets = ["localhost:1", "ftp://files"]
              |                           ^^^^^^^^^^^^^
              = `http` or `unix`
        """,
    ),
    Wrong(
        "a network with host bits",
        '[pylos]\ntrusted_proxies = ["10.0.0.1/8"]',
        """
        x.toml:2:20: error P206: [pylos] trusted_proxies[0]: `10.0.0.1/8` has bits behind its prefix
            2 | trusted_proxies = ["10.0.0.1/8"]
              |                    ^^^^^^^^^^^^
              = the network is `10.0.0.0/8`
        """,
    ),
    Wrong(
        "a bind without a host",
        '[listen.b]\nbind = ":80"',
        """
        x.toml:2:8: error P207: [listen.b] bind: `:80` is no address to listen on
            2 | bind = ":80"
              |        ^^^^^
              = all addresses of this machine: `0.0.0.0:80` or `[::]:80`
        """,
    ),
    Wrong(
        "a bind twice",
        '[listen.b]\nbind = ["127.0.0.1:81", "127.0.0.1:81"]',
        """
        x.toml:2:25: error P207: [listen.b] bind[1]: `127.0.0.1:81` is bound by `listen.b` already
            2 | bind = ["127.0.0.1:81", "127.0.0.1:81"]
              |                         ^^^^^^^^^^^^^^
        """,
    ),
    Wrong(
        "a chain in itself",
        '[policy.a]\ntype = "chain"\nuse = ["b"]\n[policy.b]\ntype = "chain"\nuse = ["a"]',
        """
        x.toml:3:7: error P208: [policy.a] use: a chain contains itself: `a` -> `b` -> `a`
            3 | use = ["b"]
              |       ^^^^^
        """,
    ),
    Wrong(
        "a field of the connection",
        '[policy.a]\ntype = "headers"\nresponse = { remove = ["Connection"] }',
        """
        x.toml:3:24: error P209: [policy.a] response.remove[0]: `Connection` is written by the gateway
            3 | response = { remove = ["Connection"] }
              |                        ^^^^^^^^^^^^
              = it frames a message or belongs to one connection
        """,
    ),
    Wrong(
        "a line longer than the head",
        '[listen.b]\nbind = "127.0.0.1:81"\nlimits = { line = "64KiB", header = "1KiB" }',
        """
        x.toml:3:19: error P211: [listen.b] limits.line: a line of 65536 bytes does not fit a head of 1024
            3 | limits = { line = "64KiB", header = "1KiB" }
              |                   ^^^^^^^
              = `limits.header` holds the whole head
        """,
    ),
    Wrong(
        "a policy that a route must have",
        '[pylos]\nrequire = ["x"]\n[policy.x]\ntype = "filter"\n[route.a]\nmatch = "/"\nto = "web"',
        """
        x.toml:5:8: error P212: [route.a]: every route must have `x`, and this one does not
            5 | [route.a]
              |        ^
              = `use = ["x"]`, or `without = ["x"]` to let this route be
        """,
    ),
    Wrong(
        "an expression that ends too early",
        '[policy.a]\ntype = "filter"\nif = "request.path =="',
        """
        x.toml:3:6: error P214: [policy.a] if: the expression ends too early, at column 16 of the expression
            3 | if = "request.path =="
              |      ^^^^^^^^^^^^^^^^^
        """,
    ),
    Wrong(
        "a condition that is no regular expression",
        '[route.a]\nmatch = "/"\nto = "web"\nwhen = { header = { x-beta = "re:(" } }',
        """
        x.toml:4:30: error P215: [route.a] when.header.x-beta: `(` is no regular expression: unclosed group, at column 1
            4 | when = { header = { x-beta = "re:(" } }
              |                              ^^^^^^
        """,
    ),
    Wrong(
        "a rewrite that is no regular expression",
        '[route.a]\nmatch = "/"\nto = "web"\nrewrite = { re = "(", to = "/" }',
        """
        x.toml:4:18: error P204: [route.a] rewrite.re: `(` is no regular expression: unclosed group, at column 1
            4 | rewrite = { re = "(", to = "/" }
              |                  ^^^
        """,
    ),
    Wrong(
        "another spelling that gets around a policy",
        '[route.a]\nmatch = "/{rest:path}"\nto = "web"\n'
        '[route.b]\nmatch = "/b"\nto = "web"\nuse = ["x"]\n[policy.x]\ntype = "filter"',
        """
        x.toml:5:9: warning P213: [route.b] match: `/b/` goes to `route.a` instead: to the same upstream, without `x`
            5 | match = "/b"
              |         ^^^^
              = add that spelling to this `match`, or `x` to `use` of `route.a`
        """,
    ),
    Wrong(
        "a match that decides nothing",
        '[route.a]\nmatch = "/{rest:path}"\nto = "web"\n[route.b]\nmatch = ["/x", "/x"]\nto = "web"',
        """
        x.toml:5:16: warning P203: [route.b] match[1]: `/x` is matched by this route already
            5 | match = ["/x", "/x"]
              |                ^^^^
        """,
    ),
    Wrong(
        "a without that takes nothing away",
        '[route.a]\nmatch = "/"\nto = "web"\nwithout = ["x"]\n[policy.x]\ntype = "filter"',
        """
        x.toml:4:12: warning P210: [route.a] without[0]: `x` does not apply to this route anyway
            4 | without = ["x"]
              |            ^^^
              = `without` takes away what `[pylos]`, the listener or a chain brings
        """,
    ),
]


@pytest.mark.parametrize("wrong", TABLE, ids=lambda wrong: wrong.name)
def test_what_is_said(wrong):
    assert report(wrong.document + "\n" + REST).splitlines() == lines_of(wrong)
