"""`[test.NAME]`: asks the compiled table where each request would go, and compares that with what is expected.

No socket is opened and no upstream asked. A test that fails (P117) or makes no sense (P118) refuses the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

from pylos._core import Compiled
from pylos.config.problems import Part, Report
from pylos.config.secrets import Places, hidden, values_at
from pylos.errors import KeyPath
from pylos.model import Expect, Identity, Policy, Python, Test
from pylos.model.fields import FIELD_NAME, FIELD_VALUE
from pylos.model.test import Given

Answer = Mapping[str, Any]
"""What the core says about a request."""


def check_given(tests: Mapping[str, Test], policies: Mapping[str, Policy], report: Report) -> None:
    """Report what is given for policies that are asked in a test too: it would say nothing."""
    for name, test in tests.items():
        for policy in test.given_:
            if policy in policies and not isinstance(policies[policy], Python):
                message = f"`{policy}` is not in Python: in a test it acts as it does otherwise"
                report.add("P118", ("test", name, "given", policy), message, hint="take it out", part="key")


def run_tests(
    tests: Mapping[str, Test], compiled: Compiled, table: Mapping[str, Any], secrets: Places, report: Report
) -> None:
    """Run all tests against a compiled table; what fields hold at the places of `secrets` is not told."""
    known = values_at(table, secrets)
    for name, test in tests.items():
        if not is_askable(name, test, report):
            continue
        question = asked(test)
        try:
            answer = compiled.explain(json.dumps(question).encode())
        except ValueError as error:
            report.add("P118", ("test", name, "request"), str(error))
            continue
        failed = list(failures(test.expect, answer, known))
        if failed and failed[0].key == "route":
            answer = compiled.explain(json.dumps({**question, "nearest": len(table["route"])}).encode())
        for one in failed:
            path = ("test", name, "expect", one.key, *one.inner)
            message = f"expected {one.expected}, got {one.got}"
            report.add("P117", path, message, hint=reason(one.key, test.expect, answer))


def is_askable(name: str, test: Test, report: Report) -> bool:
    """Report the parts of a request that no client could have; whether there are none."""
    wrong: list[tuple[KeyPath, Part, str, str | None]] = []
    if not is_address(test.peer):
        wrong.append((("peer",), "value", f"`{test.peer}` is no address", 'for example "203.0.113.7" or "2001:db8::7"'))
    for field, text in test.headers.items():
        if not FIELD_NAME.fullmatch(field):
            wrong.append((("headers", field), "key", f"`{field}` cannot be the name of a field", None))
        elif not FIELD_VALUE.fullmatch(text):
            wrong.append((("headers", field), "value", "a field holds no control characters", None))
    for path, part, message, hint in wrong:
        report.add("P118", ("test", name, *path), message, hint=hint, part=part)
    return not wrong


def is_address(text: str) -> bool:
    """Whether a text is an address as the gateway reads it, without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def asked(test: Test) -> dict[str, Any]:
    """Put a test's request as the core takes it."""
    method, _, url = test.request.partition(" ")
    client = test.as_
    headers = list(test.headers.items())
    if url.startswith("/") and "host" not in map(str.lower, test.headers):
        headers.append(("host", "localhost"))
    return {
        "method": method,
        "url": url,
        "headers": headers,
        "peer": test.peer,
        "listener": test.listener,
        "as": {"id": client} if isinstance(client, str) else client and identity(client),
        "given": {name: given(said) for name, said in test.given_.items()},
    }


def given(said: str | Given) -> dict[str, Any]:
    """Put what a policy is taken to say as the core takes it."""
    if isinstance(said, str):
        return {"kind": "deny", "status": 403, "code": "denied"} if said == "deny" else {"kind": said}
    if said.deny is not None:
        return {"kind": "deny", "status": said.status or 403, "code": said.deny}
    return {
        "kind": "allow",
        "set": [[name, value] for name, value in said.headers.items() if value is not False],
        "remove": [name for name, value in said.headers.items() if value is False],
        **said.model_dump(include={"path", "query", "upstream", "client", "plan", "claims"}),
    }


def identity(client: Identity) -> dict[str, Any]:
    """Give a client as the core takes it."""
    return {"id": client.id, "plan": client.plan, "claims": client.claims}


class Failure(NamedTuple):
    """A key that is not as expected."""

    key: str
    expected: str
    """In words, as `got`."""
    got: str
    inner: tuple[str, ...] = ()
    """The field, of `headers`."""


def failures(expect: Expect, answer: Answer, secrets: Collection[str]) -> Iterator[Failure]:
    """Give each key that is not as expected, the route first."""
    outcome = answer["outcome"]
    own = told(outcome)
    route = answer["route"]["name"] if answer["route"] else None
    facts = {
        "route": (expect.route, route, f"no route: {own}"),
        "upstream": (expect.upstream, outcome.get("upstream"), own),
        "status": (expect.status, outcome.get("status"), own),
        "reason": (expect.reason, outcome.get("reason"), own),
        "location": (expect.location, outcome.get("location"), own),
        "path": (expect.path, sent_path(expect.path, answer), own),
    }
    for key, (wanted, got, otherwise) in facts.items():
        if wanted is not None and wanted != got:
            yield Failure(key, shown(wanted), otherwise if got is None else shown(got))
    for name, text in expect.headers.items():
        values = sent_fields(name, answer)
        if answer["sent"] is None or (values if text is False else text not in values):
            told_values = ", ".join(shown(hidden(one, secrets)) for one in values) or "no such field"
            got = own if answer["sent"] is None else told_values
            yield Failure("headers", "no such field" if text is False else shown(text), got, (name,))


def told(outcome: Answer) -> str:
    """Say what becomes of a request."""
    match outcome["kind"]:
        case "forward":
            return f"an answer of upstream `{outcome['upstream']}`"
        case "redirect":
            return f"a redirect, {outcome['status']}, to {outcome['location']}"
        case "respond":
            return f"a fixed answer, {outcome['status']}"
        case "answer":
            return f"an answer of policy `{outcome['policy']}`, {outcome['status']}"
        case "refuse":
            return f"a refusal, {outcome['status']}, reason `{outcome['reason']}`"
        case _:
            return "a page of the admin listener"


def sent_path(expected: str | None, answer: Answer) -> str | None:
    """Give the path that the upstream gets; with its query where that is expected too."""
    if answer["sent"] is None:
        return None
    target: str = answer["sent"]["target"]
    return target if expected is not None and "?" in expected else target.partition("?")[0]


def sent_fields(name: str, answer: Answer) -> list[str]:
    """Give the values that the upstream gets in a field."""
    headers = answer["sent"]["headers"] if answer["sent"] else []
    return [value for field, value in headers if field.lower() == name.lower()]


def shown(value: object) -> str:
    """Write a value as a file does."""
    return json.dumps(value, ensure_ascii=False)


def reason(key: str, expect: Expect, answer: Answer) -> str | None:
    """Say why it came as it did, where that helps."""
    outcome = answer["outcome"]
    if key == "route" and outcome["kind"] == "admin":
        return f"the listener `{answer['listener']}` serves no routes"
    if key == "route":
        words = [f"`{one['route']}`: {one['why_not']}" for one in answer["others"] if one["route"] == expect.route]
        if words:
            return "; ".join(words)
    if outcome["kind"] == "refuse" and outcome["detail"]:
        return str(outcome["detail"])
    return None
