"""A new version for some."""

import zlib

from pydantic import BaseModel, Field

from pylos import Allow, Request, policy


class Flag(BaseModel, extra="forbid"):
    """Who gets the new version, and where it is."""

    percent: int = Field(ge=0, le=100)
    upstream: str


@policy(settings=Flag)
def new_checkout(request: Request, settings: Flag) -> Allow | None:
    user = request.headers.get("x-user", request.client.ip)
    chosen = zlib.crc32(user.encode()) % 100 < settings.percent
    if request.headers.get("x-try-new") == "1" or chosen:
        return Allow(upstream=settings.upstream, headers={"x-checkout": "new"})
    return None
