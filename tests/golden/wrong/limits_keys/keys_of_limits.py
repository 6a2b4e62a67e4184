"""Policies of a case."""

from pylos import Allow, Request, policy


@policy(phase="authorise")
def who(request: Request) -> Allow:
    return Allow(key=request.host)


@policy
def late(request: Request) -> Allow:
    return Allow(key=request.host)
