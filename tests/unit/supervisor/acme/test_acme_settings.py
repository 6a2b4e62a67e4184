"""What is wanted is right, or said to be wrong at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylos.supervisor.acme import (
    Authority,
    Dns,
    DnsCommand,
    DnsFunction,
    DnsUpdate,
    ExternalAccount,
    SettingsError,
    Wanted,
)
from pylos.supervisor.acme.domains import covers, needed, normal, server_name

HERE = (Authority("here", "https://acme.test/dir"),)
LOCAL = (Authority("local", "local"),)
DNS = Dns(DnsCommand(("true",)))


@pytest.mark.parametrize(
    "given, expected",
    [
        ("Shop.Test", "shop.test"),
        ("shop.test.", "shop.test"),
        ("*.shop.test", "*.shop.test"),
        ("*.localhost", "*.localhost"),
        ("localhost", "localhost"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_names_have_one_spelling(given, expected):
    assert normal(given) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "shop..test",
        "a b.test",
        "*",
        "*.test",
        "a.*.test",
        "**.shop.test",
        "-a.test",
        "a/b",
        "x" * 64 + ".test",
    ],
)
def test_what_is_no_name(name):
    with pytest.raises(SettingsError):
        normal(name)


@given(st.text())
def test_a_spelling_stays(text):
    try:
        once = normal(text)
    except SettingsError:
        return
    assert normal(once) == once


def test_names_are_taken_once():
    assert Wanted("shop", ("A.test", "a.test.", "b.test"), HERE).domains == ("a.test", "b.test")


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: Wanted("shop", ("*.shop.test",), HERE), "dns-01"),
        (lambda: Wanted("shop", ("*.shop.test",), HERE, challenges=("dns-01",)), "how to make records"),
        (lambda: Wanted("shop", ("127.0.0.1",), HERE, challenges=("dns-01",), dns=DNS), "http-01 or tls-alpn-01"),
        (lambda: Wanted("shop", (), HERE), "needs"),
        (lambda: Wanted("shop", ("a.test",), ()), "needs"),
        (lambda: Wanted("", ("a.test",), HERE), "needs"),
        (lambda: Wanted("shop", ("a.test",), HERE, challenges=("http-02",)), "http-02"),  # type: ignore[arg-type]
        (lambda: Authority("a", "http://acme.test/dir"), "https://"),
        (lambda: Authority("a", "acme.test"), "https://"),
        (lambda: Authority("a", "https://acme.test/dir", staging="x"), "https://"),
        (lambda: ExternalAccount("kid", "not base64!"), "base64url"),
        (lambda: DnsUpdate("ns.test", key_name="key"), "secret"),
        (lambda: DnsUpdate("ns.test", key_algorithm="md5"), "hmac-sha256"),
        (lambda: DnsCommand(()), "empty"),
        (lambda: DnsFunction("no function"), "module:function"),
    ],
)
def test_what_cannot_be_had(make, told):
    with pytest.raises(SettingsError, match=told):
        make()


def test_wildcards_need_dns_01_and_others_keep_their_order():
    wanted = Wanted("shop", ("*.a.test", "b.test", "::1"), HERE, challenges=("http-01", "dns-01"), dns=DNS)
    assert [wanted.challenges_for(domain) for domain in wanted.domains] == [
        ("dns-01",),
        ("http-01", "dns-01"),
        ("http-01",),
    ]


def test_the_local_authority_takes_all_names():
    assert Wanted("dev", ("*.localhost", "127.0.0.1"), LOCAL).domains == ("*.localhost", "127.0.0.1")


def test_secrets_are_not_shown():
    value = "c2VjcmV0"
    shown = repr([ExternalAccount("kid", value), DnsUpdate("ns.test", key_name="key", key_secret=value)])
    assert value not in shown


@pytest.mark.parametrize(
    "names, domain, good",
    [
        ({"a.test"}, "a.test", True),
        ({"*.test"}, "a.test", True),
        ({"*.test"}, "b.a.test", False),
        ({"*.test"}, "*.test", True),
        ({"*.a.test"}, "a.test", False),
        ({"*.0.0.1"}, "127.0.0.1", False),
        ({"a.test"}, "*.a.test", False),
    ],
)
def test_what_a_certificate_covers(names, domain, good):
    assert covers(frozenset(names), domain) is good


@pytest.mark.parametrize(
    "domains, ordered",
    [
        (("a.test", "b.test"), ("a.test", "b.test")),
        (("www.a.test", "*.a.test", "a.test", "x.y.a.test"), ("*.a.test", "a.test", "x.y.a.test")),
        (("*.a.test", "127.0.0.1"), ("*.a.test", "127.0.0.1")),
    ],
)
def test_what_a_wildcard_covers_is_not_ordered(domains, ordered):
    assert needed(domains) == ordered


def test_the_server_name_of_an_address():
    assert server_name("127.0.0.1") == "1.0.0.127.in-addr.arpa"
    assert server_name("::1").endswith("ip6.arpa")
    assert server_name("a.test") == "a.test"
