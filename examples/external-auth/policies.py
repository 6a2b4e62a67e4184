"""Another service decides who may come in; its answer holds for a while."""

from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener
from urllib.request import Request as Question

from pydantic import BaseModel

from pylos import Allow, Deny, Request, policy


class Service(BaseModel, extra="forbid"):
    """Who is asked, and for how long an answer holds."""

    url: str
    remember: str = "60s"


class NoRedirect(HTTPRedirectHandler):
    """A redirect, to a login page for instance, is no yes; and the token is for nobody else to see."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


ask = build_opener(NoRedirect).open


@policy(phase="identity", settings=Service, blocking=True)
def authenticated(request: Request, settings: Service) -> Allow | Deny:
    token = request.headers.get("authorization")
    if token is None:
        return Deny(401, "no_token", headers={"www-authenticate": "Bearer"})
    by = ["request.headers.authorization"]
    question = Question(settings.url, headers={"authorization": token})  # noqa: S310 - the configuration's own
    try:
        with ask(question, timeout=2):
            return Allow(remember=settings.remember, by=by)
    except HTTPError as error:
        return Deny(error.code if error.code in (401, 403) else 503, "refused_by_service", remember="5s", by=by)
