"""What requests are counted by."""

from pydantic import BaseModel

from pylos import Request, policy


class Partners(BaseModel, extra="forbid"):
    """Whose key is whose."""

    by_key: dict[str, str]


@policy.key(settings=Partners)
def partner(request: Request, settings: Partners) -> str | None:
    """All keys of one partner take from the same; who has none is counted by its address."""
    return settings.by_key.get(request.headers.get("x-api-key", ""))
