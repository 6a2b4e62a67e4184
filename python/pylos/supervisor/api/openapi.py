"""The description of the API, OpenAPI 3.1, made of the operations that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from pylos._core import version
from pylos.config.explain import Explanation
from pylos.supervisor.api.message import JSON, PROBLEM
from pylos.supervisor.api.resource import PREFIX, Operation

Schema = Mapping[str, Any]
MODELS = "#/components/schemas/{model}"


def ref(name: str) -> dict[str, Any]:
    """Refer to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


STATUS, CONFIG, CHANGED, HISTORY = ref("Status"), ref("Config"), ref("Changed"), ref("History")
EXPLANATION = ref(Explanation.__name__)


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Describe the operations."""
    models = [operation.body for operation in operations if isinstance(operation.body, type)]
    wanted: list[Any] = [*((model, "validation") for model in models), (Explanation, "serialization")]
    _, found = models_json_schema(wanted, by_alias=True, ref_template=MODELS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = described(operation)
        if operation.method == "GET":
            paths[PREFIX + operation.path]["head"] = head_of(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pylos admin API",
            "version": version(),
            "description": "Over the control socket everything may be done; over a listener what its token allows.",
        },
        "paths": paths,
        "components": {
            "schemas": {**found["$defs"], **SCHEMAS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def described(operation: Operation) -> dict[str, Any]:
    """Describe one operation. Who looks at a listener without a token needs none."""
    told: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{operation.path.strip('/').partition('.')[0]}",
        "summary": operation.summary,
        "security": [{"token": []}] if operation.changes else [{}, {"token": []}],
        "responses": responses(operation),
    }
    if operation.parameters:
        told["parameters"] = list(operation.parameters)
    if operation.body is not None:
        told["requestBody"] = {"required": not isinstance(operation.body, type), "content": content(operation.body)}
    return told


def head_of(operation: Operation) -> dict[str, Any]:
    """Describe what HEAD gives: the fields alone."""
    told = described(operation)
    answers = {status: {"description": one["description"]} for status, one in told["responses"].items()}
    return {**told, "operationId": f"head_{told['operationId'].partition('_')[2]}", "responses": answers}


def content(body: type | Mapping[str, Any]) -> dict[str, Any]:
    """Describe a body by its media types."""
    if isinstance(body, type):
        return {JSON: {"schema": ref(body.__name__)}}
    return {name: {"schema": schema} for name, schema in body.items()}


def responses(operation: Operation) -> dict[str, Any]:
    """Describe what may come of it; what may come of everything stands under `default`."""
    told = {str(status): response(status, text, operation) for status, text in sorted(operation.answers.items())}
    if operation.changes:
        told["403"] = problem("Nothing can be changed by this listener.")
    return {**told, "401": problem("The listener asks for its token."), "default": problem("Anything else.")}


def response(status: int, text: str, operation: Operation) -> dict[str, Any]:
    """Describe one answer."""
    if status >= 400:
        return problem(text)
    told: dict[str, Any] = {"description": text}
    if operation.schema and status != 304:
        told["content"] = {JSON: {"schema": operation.schema}}
    if operation.schema in (CONFIG, CHANGED):
        told["headers"] = {"ETag": {"description": "Of the configuration in use.", "schema": {"type": "string"}}}
    return told


def problem(text: str) -> dict[str, Any]:
    """Describe a refusal."""
    return {"description": text, "content": {PROBLEM: {"schema": ref("Refusal")}}}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
MAYBE: Schema = {"type": ["string", "null"]}
ANY: Schema = {"type": "object"}
LIST: Schema = {"type": "array"}


def of(keys: Mapping[str, Schema]) -> dict[str, Any]:
    """Describe an object that has all of these keys."""
    return {"type": "object", "properties": dict(keys), "required": sorted(keys)}


LISTEN: Schema = {"type": "object", "additionalProperties": {"type": "array", "items": TEXT}}
TARGET = of({"target": TEXT, "state": {"enum": ["up", "down", "ejected"]}, "active": NUMBER})
ENTRY = of(
    {
        "number": NUMBER,
        "time": {"type": "string", "format": "date-time"},
        "reason": TEXT,
        "digest": TEXT,
        "summary": TEXT,
        "restores": {"type": ["integer", "null"]},
        "in_use": {"type": "boolean"},
    }
)
CERTIFICATE = of(
    {
        "tls": TEXT,
        "acme": TEXT,
        "domains": LIST,
        "state": {"enum": ["valid", "renewing", "asking", "missing", "expired"]},
        "begins": MAYBE,
        "ends": MAYBE,
        "source": MAYBE,
        "issuer": MAYBE,
        "failures": NUMBER,
        "error": MAYBE,
        "error_at": MAYBE,
        "next_step": TEXT,
    }
)
SCHEMAS: dict[str, Any] = {
    "Status": of(
        {
            "running": of(
                {
                    "pid": NUMBER,
                    "gateway": NUMBER,
                    "since": {"type": "string", "format": "date-time"},
                    "listen": LISTEN,
                    "source": MAYBE,
                    "generation": NUMBER,
                    "digest": TEXT,
                    "drift": MAYBE,
                    "certificates": {"type": "array", "items": CERTIFICATE},
                }
            ),
            "status": of(
                {
                    "generation": NUMBER,
                    "connections": NUMBER,
                    "requests": NUMBER,
                    "workers": NUMBER,
                    "upstreams": {"type": "object", "additionalProperties": {"type": "array", "items": TARGET}},
                }
            ),
        }
    ),
    "Config": of({"number": NUMBER, "digest": TEXT, "document": ANY}),
    "Change": of({"change": {"enum": ["added", "removed", "changed"]}, "object": LIST, "keys": LIST}),
    "Changed": of(
        {
            "number": NUMBER,
            "changes": {"type": ["array", "null"], "items": ref("Change")},
            "warnings": {"type": "array", "items": ref("Problem")},
        }
    ),
    "History": of({"entries": {"type": "array", "items": ENTRY}, "drift": MAYBE}),
    "Problem": of(
        {
            "code": TEXT,
            "severity": {"enum": ["error", "warning"]},
            "path": {"type": "array", "items": {"type": ["string", "integer"]}},
            "message": TEXT,
            "hint": MAYBE,
            "file": TEXT,
            "line": NUMBER,
            "column": NUMBER,
        }
    ),
    "Refusal": {
        **of({"type": TEXT, "title": TEXT, "status": NUMBER, "detail": TEXT, "reason": TEXT}),
        "description": "A problem document (RFC 9457).",
    },
}
SCHEMAS["Refusal"]["properties"] |= {"hint": TEXT, "problems": {"type": "array", "items": ref("Problem")}}
