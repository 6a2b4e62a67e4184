"""Policies for the documents beside it."""

from pydantic import BaseModel

from pylos import Allow, Deny, Request, policy


class Settings(BaseModel, extra="forbid"):
    header: str


@policy(phase="identity", settings=Settings, body="1KiB", lane="slow")
async def tenant(request: Request, settings: Settings) -> Allow:
    return Allow(claims={"tenant": request.headers.get(settings.header)})


@policy
def staff(request: Request) -> Deny | None:
    return None if request.client.claims.get("role") == "staff" else Deny(code="staff_only")


@policy.key
def product(request: Request) -> str | None:
    return request.path.split("/")[1] or None
