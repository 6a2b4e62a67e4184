"""Reloads: routes and listeners that come and go, more and fewer workers, another log, and files that are wrong."""

from __future__ import annotations

import socket
from dataclasses import replace
from signal import SIGHUP

from pylos.errors import PylosError
from soak.document import WORKERS, Document
from soak.incidents import Effect
from soak.served import HOST, page
from soak.site import Site, free_port

MOST_ROUTES, MOST_LISTENERS = 40, 4
FEWER = (Effect.CLOSES_KEPT,)
"""What fewer workers may break."""
NOBODYS = -1
"""The number of a document that nobody waits for."""
BROKEN = (
    "[listen.http\n",
    '[rout.x]\nmatch = "/x"\n',
    '[route.x]\nmatch = "/x"\nto = "nowhere"\n',
    '[route.other]\nmatch = "/number"\nrespond = { text = "a tie" }\n',
    '[listen.taken]\nbind = "127.0.0.1:{taken}"\n',
)


async def routes(site: Site) -> str:
    """Add routes and remove others; what is there answers, and what is not does not."""
    known = site.document.routes
    gone = {route for route in known if site.chance.random() < 0.3}
    new = {site.document.number * 10 + index for index in range(site.chance.randrange(1, 4))}
    kept = frozenset(sorted((known - gone) | new)[-MOST_ROUTES:])
    how = await put(site, site.next(routes=kept))
    for route in sorted(new & kept)[:1]:
        _expect(await page(site.document.port, f"/more/{route}"), (200, str(route)))
    for route in sorted(known - kept)[:1]:
        _expect((await page(site.document.port, f"/more/{route}"))[0], 404)
    return f"{len(kept)} routes, {how}"


async def listeners(site: Site) -> str:
    """Add a listener, or remove one."""
    known = site.document.listeners
    fewer = len(known) >= MOST_LISTENERS or (known and site.chance.random() < 0.5)
    kept = known[1:] if fewer else (*known, free_port())
    how = await put(site, site.next(listeners=kept))
    for port in kept:
        _expect((await page(port, "/number"))[0], 200)
    return f"{len(kept)} more listeners, {how}"


async def workers(site: Site) -> str:
    """Fewer workers, then as many as before; connections of those that go are closed between two requests."""
    with site.incidents.during("workers", *FEWER):
        await put(site, site.next(workers=WORKERS // 2))
        how = await put(site, site.next(workers=WORKERS))
    return f"{WORKERS} -> {WORKERS // 2} -> {WORKERS} workers, {how}"


async def log_file(site: Site) -> str:
    """Let it write its log to another file."""
    path = site.served.folder / f"access-{site.document.number + 1}.log"
    site.log_lines.follow(path)
    return f"{path.name}, {await put(site, site.next(log=path))}"


async def broken_file(site: Site) -> str:
    """Let it read a file that is wrong: everything stays as it was."""
    with socket.create_server((HOST, 0)) as taken:
        wrong = site.chance.choice(BROKEN).replace("{taken}", str(taken.getsockname()[1]))
        site.served.write(replace(site.document, number=NOBODYS).text() + wrong)
        try:
            await site.served.ask({"type": "reload"})
        except PylosError:
            pass
        else:
            raise AssertionError(f"a wrong file was taken: {wrong!r}")
        _expect(await page(site.document.port, "/number"), (200, str(site.document.number)))
        # The port stays taken until nobody has the wrong file in hand any more: when it is free, that is a right one.
        site.served.write(site.document.text())
        await site.served.ask({"type": "reload"})
    return f"refused: {wrong.splitlines()[0]}"


async def put(site: Site, document: Document) -> str:
    """Put a document into use in one of the ways that there are, and wait until it is."""
    site.served.write(document.text())
    how = site.chance.choice(["a command", "SIGHUP", "the changed file alone"])
    if how == "a command":
        await site.served.ask({"type": "reload"})
    elif how == "SIGHUP":
        site.served.process.send_signal(SIGHUP)
    await site.uses(document)
    return f"by {how}"


def _expect(got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")
