"""An ASGI application as an upstream: served by uvicorn on a free port, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import ModuleType, TracebackType
from typing import Any, Literal, Self

from pylos.errors import PylosError
from pylos.testing.address import listen, spelled
from pylos.testing.record import WAIT_SECONDS

START_SECONDS = 30.0

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiUpstream:
    """Serves an ASGI application: Starlette, FastAPI, Django, a function. A context manager; also start() and stop().

        with AsgiUpstream(app) as web, GatewayUnderTest(Path("gateway.toml"), upstreams={"web": web}) as running:
            ...

    Needs uvicorn, which is no dependency of Pylos: `pip install uvicorn`. Bodies stream both ways. The application's
    lifespan is over with the block: "on" takes it as an error when the application has none, "off" leaves it out.
    Requests that are still running at the end are cancelled after `grace` seconds.
    """

    def __init__(
        self,
        app: Application,
        *,
        lifespan: Literal["auto", "on", "off"] = "auto",
        grace: int = 1,
        host: str = "127.0.0.1",
    ) -> None:
        self.address = ""
        """"127.0.0.1:40123", once started."""
        self.errors: list[Exception] = []
        """What the application raised while it served; the client got a 500."""
        self._app, self._host = app, host
        self._uvicorn = _uvicorn()
        self._settings: dict[str, Any] = {"lifespan": lifespan, "timeout_graceful_shutdown": grace}
        self._failed = ""
        self._serves = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Serve; the application's start-up is over when this returns. Raises PylosError where it failed."""
        self._socket = listen(self._host, 0, None)
        self.address = spelled(self._socket)
        self._server = self._make_server()
        self._serves.clear()
        self._thread = threading.Thread(target=self._run, name=f"asgi {self.address}", daemon=True)
        self._thread.start()
        if not self._serves.wait(START_SECONDS):
            self._failed = f"not within {START_SECONDS:g} s"
        if not self._server.started:
            self.stop()
            reason = f": {self._failed}" if self._failed else ""
            raise PylosError(f"the application did not start{reason} (see the log `uvicorn.error`)")
        return self

    def stop(self) -> None:
        """Run the application's shut-down and close all connections."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(WAIT_SECONDS)
        self._thread = None
        self._socket.close()

    @property
    def url(self) -> str:
        """The target as a configuration spells it: "http://127.0.0.1:40123"."""
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _make_server(self) -> Any:  # noqa: ANN401 - a server of uvicorn, which may not be there to name
        config = self._uvicorn.Config(
            self._watched, log_config=None, access_log=False, interface="asgi3", proxy_headers=False, **self._settings
        )
        server, serves = self._uvicorn.Server(config), self._serves
        startup = server.startup

        async def told(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
            await startup(*args, **kwargs)
            serves.set()

        server.startup = told
        return server

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except SystemExit:
            pass  # how uvicorn ends a failed start-up: the reason has been told
        except Exception as error:  # noqa: BLE001 - told by start()
            self._failed = repr(error)
        finally:
            self._serves.set()

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._noting_failure(send))
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self.errors.append(error)
            raise

    def _noting_failure(self, send: Send) -> Send:
        async def note(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self._failed = "".join(message.get("message", "").strip().splitlines()[-1:])
            await send(message)

        return note


def _uvicorn() -> ModuleType:
    try:
        import uvicorn  # noqa: PLC0415 - no dependency of Pylos: only who serves an application needs it
    except ImportError:
        raise PylosError(
            "to serve an ASGI application in a test, uvicorn must be installed: `pip install uvicorn`"
        ) from None
    return uvicorn
