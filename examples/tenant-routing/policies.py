"""Who a client is, and where it is served."""

from pydantic import BaseModel

from pylos import Allow, Deny, Request, policy


class Keys(BaseModel, extra="forbid"):
    """The keys that were given out."""

    tenants: dict[str, str]
    """By key: the tenant."""


@policy(phase="identity", settings=Keys)
def tenant(request: Request, settings: Keys) -> Allow | Deny:
    name = settings.tenants.get(request.headers.get("x-api-key", ""))
    if name is None:
        return Deny(401, "unknown_key", "Send your key in X-API-Key.")
    return Allow(client=f"consumer:{name}", claims={"tenant": name}, headers={"x-api-key": None})


@policy
def by_tenant(request: Request) -> Allow | None:
    return Allow(upstream="europe") if request.client.claims.get("tenant") == "blue" else None
