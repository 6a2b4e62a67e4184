"""All that there is: each resource with its methods, what they are for, and what may come of them."""

from __future__ import annotations

from pylos.supervisor.api import config, control, look
from pylos.supervisor.api.message import Answer, Request, told
from pylos.supervisor.api.openapi import CHANGED, CONFIG, EXPLANATION, HISTORY, STATUS, describe
from pylos.supervisor.api.resource import Api, Operation

REFUSED = {
    409: "It cannot be used as things are: an address is taken, or there is none such.",
    422: "The configuration is wrong; `problems` has all that is.",
    503: "No gateway process answers at the moment.",
}
ANY_TEXT = {"type": "string"}


async def openapi(_: Api, __: Request) -> Answer:
    """Tell what there is."""
    return told(describe(OPERATIONS))


OPERATIONS = (
    Operation(
        "GET",
        "/status",
        look.status,
        "How the gateway is doing: processes, configuration, listeners, upstreams",
        {200: "The state.", 503: REFUSED[503]},
        schema=STATUS,
    ),
    Operation(
        "GET",
        "/config",
        config.show,
        "The document in use as the gateway takes it: all defaults filled in, secrets hidden",
        {200: "The document; `ETag` has its digest.", 304: "It is the one of `If-None-Match`."},
        parameters=[
            {"name": "If-None-Match", "in": "header", "required": False, "schema": ANY_TEXT},
        ],
        schema=CONFIG,
    ),
    Operation(
        "PUT",
        "/config",
        config.put,
        "Put a configuration into use until the source changes or is read again",
        {
            200: "It is in use, or with `dry_run` would be; with what it changes.",
            **REFUSED,
            412: "Another configuration is in use than `If-Match` says.",
            415: "The body is neither TOML nor JSON.",
            428: "`If-Match` is missing.",
        },
        changes=True,
        body={"application/toml": ANY_TEXT, "application/json": {"type": "object"}, "text/plain": ANY_TEXT},
        parameters=[
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of what is to be replaced, or `*`.",
                "schema": ANY_TEXT,
            },
            {
                "name": "dry_run",
                "in": "query",
                "required": False,
                "description": "Check it and tell what it would change, and change nothing.",
                "schema": {"type": "boolean", "default": False},
            },
        ],
        schema=CHANGED,
    ),
    Operation(
        "POST",
        "/reload",
        control.reload,
        "Read the configuration again, as on SIGHUP",
        {200: "It is in use.", **REFUSED},
        changes=True,
        schema=CHANGED,
    ),
    Operation(
        "POST",
        "/rollback",
        control.rollback,
        "Put a former configuration into use again",
        {200: "It is in use.", **REFUSED},
        changes=True,
        body=control.Rollback,
        schema=CHANGED,
    ),
    Operation(
        "GET",
        "/history",
        look.history,
        "The configurations that were in use, the latest first",
        {200: "The list."},
        schema=HISTORY,
    ),
    Operation(
        "POST",
        "/explain",
        look.explain,
        "Where a request would go, and why; nothing is sent",
        {200: "The explanation.", 422: "The request makes no sense.", 503: REFUSED[503]},
        body=look.Question,
        refused=422,
        schema=EXPLANATION,
    ),
    Operation(
        "POST",
        "/forget",
        control.forget,
        "Forget what is remembered of the decisions of policies in Python",
        {200: "The policies.", 404: "There is no such policy in Python.", 503: REFUSED[503]},
        changes=True,
        body=control.Forget,
        refused=404,
        schema={"type": "object", "properties": {"policies": {"type": "array", "items": ANY_TEXT}}},
    ),
    Operation(
        "POST",
        "/reopen",
        control.reopen,
        "Open log files anew, as on SIGUSR1",
        {204: "Nothing is written to the files before any more.", 409: "One cannot be opened.", 503: REFUSED[503]},
        changes=True,
    ),
    Operation(
        "POST",
        "/drain",
        control.drain,
        "Finish the requests in flight and end, as on SIGTERM",
        {202: "It has begun."},
        changes=True,
        body=control.Drain,
        schema={"type": "object", "properties": {"draining": {"const": True}}},
    ),
    Operation(
        "GET",
        "/openapi.json",
        openapi,
        "This document",
        {200: "The document, OpenAPI 3.1."},
        schema={"type": "object", "required": ["openapi", "info", "paths"]},
    ),
)
