"""What an authority says no to, and what is made of it: by whom, about what, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from acme import errors as library
from acme import messages
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pylos.config.x509 import key_text
from pylos.supervisor.acme.errors import AuthorityError, Problem
from pylos.supervisor.acme.hints import MOST_NONCES, hint_for
from pylos.supervisor.acme.keys import new_key
from pylos.supervisor.acme.network import Network, explained, read
from pylos.supervisor.acme.wire import DirectoryBody, OrderBody, RenewalInfoBody, retry_after

URL = "https://acme.test/dir"
ORDER = {"status": "ready", "authorizations": [f"{URL}/authz"], "finalize": f"{URL}/finalize"}
NOW = 1_700_000_000.0
"""Tue, 14 Nov 2023 22:13:20 GMT."""


def response(status: int, body: object = None, **fields: str) -> requests.Response:
    """An answer as the HTTP library gives it."""
    made = requests.Response()
    made.status_code = status
    made._content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    made.headers.update({"Content-Type": "application/json", "Replay-Nonce": "bm9uY2U", **fields})
    made.url = URL
    made.request = requests.Request("POST", URL).prepare()
    return made


def problem(code: str, detail: str = "", **more: object) -> dict[str, object]:
    return {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail, **more}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Network]:
    """A line on which these answers come, or these errors happen; the answers to HEAD aside."""

    def make(*answers: requests.Response | Exception) -> Network:
        made, left = Network(key_text(new_key("ecdsa")), None, now=lambda: NOW), list(answers)

        def request(method: str, *_: object, **__: object) -> requests.Response:
            if method == "HEAD":
                return response(200)
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(made.session, "request", request)
        return made

    return make


def refusal(network: Network) -> AuthorityError:
    """Send something, and give what became of it."""
    try:
        found = network.post(f"{URL}/order", messages.NewOrder(identifiers=()), new_nonce_url=f"{URL}/nonce")
        read(OrderBody, found)
    except Exception as error:  # noqa: BLE001, each of them is to be explained
        told = explained(error, network, URL, "order", "shop.test")
        assert isinstance(told, AuthorityError), told
        return told
    raise AssertionError("it was not refused")


@pytest.mark.parametrize(
    "answer, texts, reached, wait",
    [
        (
            response(429, problem("rateLimited", "too many"), **{"Retry-After": "3600"}),
            ["refused order", "rateLimited", "too many", "asked again in 3600 s", "limits are used up"],
            True,
            3600,
        ),
        (
            response(503, problem("rateLimited"), **{"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"}),
            ["rateLimited"],
            False,
            60,
        ),
        (response(503, b"<html>down", **{"Retry-After": "5"}), ["no answer that is one", "status 503"], False, 5),
        (response(500, problem("serverInternal", "oops")), ["oops", "tried again by itself"], False, None),
        (response(403, problem("unauthorized", "no")), ["refused order", "does not let this account"], True, None),
        (response(200, b"<html>"), ["no answer that is one to order"], False, None),
        (response(200, {"status": "odd"}), ["no answer that is one to order"], False, None),
        (response(200, {**ORDER, "status": "odd"}), ["status"], False, None),
        (requests.ConnectionError(OSError(111, "Connection refused")), ["was not reached", "refused"], False, None),
        (
            requests.exceptions.SSLError("self-signed certificate"),
            ["is not trusted", "self-signed", "`ca`"],
            False,
            None,
        ),
        (requests.Timeout("timed out"), ["was not reached", "timed out"], False, None),
    ],
)
def test_refusals(network: Callable[..., Network], answer, texts, reached, wait):
    error = refusal(network(answer))
    assert str(error).startswith(f"shop.test: {URL} ")
    assert all(text in str(error) for text in texts), str(error)
    assert (error.fault.reached, error.fault.retry_after) == (reached, wait)


@pytest.mark.parametrize(
    "code, challenge, told",
    [
        ("unauthorized", None, "account"),
        ("unauthorized", "http-01", "must lead here"),
        ("connection", "tls-alpn-01", "port 443"),
        ("connection", None, None),
        ("tls", None, None),
        ("caa", "http-01", "CAA record"),
        ("nothing known", "http-01", None),
    ],
)
def test_what_an_answer_has_to_do_with_it_is_said_of_challenges_alone(code, challenge, told):
    hint = hint_for(Problem(f"urn:ietf:params:acme:error:{code}"), challenge)
    assert hint is None if told is None else told in (hint or "")


def test_subproblems_are_told(network: Callable[..., Network]):
    inner = problem("caa", "CAA forbids", identifier={"type": "dns", "value": "a.test"})
    error = refusal(network(response(403, problem("compound", "see below", subproblems=[inner]))))
    assert "see below" in str(error)
    assert "a.test: CAA forbids (urn:ietf:params:acme:error:caa)" in str(error)
    assert "a CAA record of the domain names other authorities" in str(error)


def test_nothing_that_is_told_is_obeyed(network: Callable[..., Network]):
    """Control characters and lines of an authority's own are shown as such; a thousand subproblems are not shown."""
    inner = [problem("dns", "x" * 5000)] * 1000
    told = str(refusal(network(response(400, problem("compound", "\x1b[2Jred\nerror: root", subproblems=inner)))))
    assert "\x1b" not in told
    assert "\nerror" not in told
    assert "and 995 more" in told
    assert len(told) < 10_000


def test_nor_is_what_is_no_answer(network: Callable[..., Network]):
    """The names of its keys are an authority's own, too."""
    error = refusal(network(response(200, {**ORDER, "authorizations": {"\x1b[2J": 1}})))
    assert "\x1b" not in str(error)
    with pytest.raises(ValidationError) as found:
        DirectoryBody.model_validate(
            {"newNonce": URL, "newAccount": URL, "newOrder": URL, "meta": {"profiles": {"\x1b[2J" * 500: 1}}}
        )
    told = str(explained(found.value, network(), URL, "directory", None))
    assert "\x1b" not in told
    assert len(told) < 1000


@pytest.mark.parametrize("refused", [1, MOST_NONCES - 1])
def test_refused_nonces_are_followed_by_others(network: Callable[..., Network], refused):
    bad = [response(400, problem("badNonce")) for _ in range(refused)]
    line = network(*bad, response(200, ORDER))
    found = line.post(URL, messages.NewOrder(identifiers=()), new_nonce_url=URL)
    assert read(OrderBody, found).status == "ready"


def test_nonces_are_not_refused_for_ever(network: Callable[..., Network]):
    told = refusal(network(*[response(400, problem("badNonce"))] * MOST_NONCES))
    assert "badNonce" in str(told)
    assert "10 nonces in a row" in str(told)
    assert not told.fault.reached, "that is no word about what was asked"


def test_nothing_is_sent_in_clear(network: Callable[..., Network]):
    with pytest.raises(library.ClientError, match="https"):
        network().get("http://acme.test/dir")


@pytest.mark.parametrize(
    "text, seconds",
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("-1", None),
        ("soon", None),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("Tue, 99 Nov 2023 22:00:00 GMT", None),
    ],
)
def test_retry_after(text, seconds):
    assert retry_after(text, NOW) == seconds


@given(st.text())
def test_retry_after_takes_anything(text):
    found = retry_after(text, NOW)
    assert found is None or found >= 0


def test_a_window_is_read():
    """The example of RFC 9773 section 4.2."""
    window = {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"}
    body = RenewalInfoBody.model_validate({"suggestedWindow": window, "explanationURL": "https://acme.test/why"})
    assert body.suggested_window.end.timestamp() - body.suggested_window.start.timestamp() == 86400
