"""Only what the sender has signed comes in."""

import hmac

from pydantic import BaseModel, SecretStr

from pylos import Deny, Request, policy


class Sender(BaseModel, extra="forbid"):
    """What sender and receiver have agreed upon."""

    secret: SecretStr
    header: str = "x-signature"


@policy(phase="authorise", settings=Sender, body="64KiB")
def signed(request: Request, settings: Sender) -> Deny | None:
    expected = hmac.new(settings.secret.get_secret_value().encode(), request.body or b"", "sha256").hexdigest()
    given = request.headers.get(settings.header, "")
    return None if hmac.compare_digest(given.encode(), expected.encode()) else Deny(401, "bad_signature")
