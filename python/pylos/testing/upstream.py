r"""A scripted upstream: it records every byte per connection and answers exactly what the test says.

One thread accepts, one thread serves each connection, so that a script reads top-down as a blocking story:

    with ScriptedUpstream(reply(b"hello")) as upstream: ...  # every request gets the same answer
    ScriptedUpstream(reply(status=503), reply(b"ok"))  # the first request, then all others
    ScriptedUpstream([b"HTTP/1.1 200 OK\r\n", Wait(event), Reset()])  # half a head, a pause, RST


    def story(connection: UpstreamConnection) -> None:  # a connection by hand
        request = connection.read_head()
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)


    ScriptedUpstream(serve=story)
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pylos.testing.address import listen, spelled
from pylos.testing.connection import Stopped, UpstreamConnection
from pylos.testing.message import IncompleteError, Request
from pylos.testing.record import WAIT_SECONDS, Record
from pylos.testing.script import Reply, perform, reply

IDLE_SECONDS = 60.0
"""How long a connection waits for the gateway's next byte before its thread gives up."""


class ScriptedUpstream:
    """An upstream on port 0 (or a Unix socket) that answers from a script. A context manager; also start() and stop().

    `replies`: the n-th request over all connections gets the n-th reply, the last reply serves all that follow; without
    any, every request gets 200 and the body "ok". A request is read whole before it is answered. `serve` takes whole
    connections instead; when it returns, the connection is closed. With `tls` it speaks that; whoever
    fails in the handshake has a connection without requests.
    """

    def __init__(
        self,
        *replies: Reply,
        serve: Callable[[UpstreamConnection], object] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        unix: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = ""
        """"127.0.0.1:40123" or "unix:/path", once started."""
        self.connections: list[UpstreamConnection] = []
        """All connections since the first start, in the order of accepting."""
        self.errors: list[BaseException] = []
        """What scripts raised, other than the gateway closing a connection; stop() raises the first."""
        self._replies: tuple[Reply, ...] = replies or (reply(),)
        self._replied = 0
        self._replying = threading.Lock()
        self._serve = serve or self._answer_all
        self._place = (host, port, unix)
        self._tls = tls
        self._record = Record()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind and serve. After a stop() it takes the same address again."""
        self._record.stopping = False
        self._listener = listen(*self._place)
        self.address = spelled(self._listener)
        host, _, unix = self._place
        self._place = (host, 0 if unix else self._listener.getsockname()[1], unix)
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept_all, name=f"upstream {self.address}", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close the listener and all connections, and raise what went wrong in a script."""
        if not self.address or self._record.stopping:
            return
        self._record.stopping = True
        self._wake.send(b"x")
        self._acceptor.join()
        self._wake.close()
        self._woken.close()
        for connection in self.connections:
            connection.close()
        for connection in self.connections:
            connection.thread.join(WAIT_SECONDS)
        errors, self.errors = self.errors, []
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except BaseException as scripted:
            if error is None:
                raise
            error.add_note(f"a script of the upstream failed too: {scripted!r}")

    # -- what a test asks ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The target as a configuration spells it: "http://127.0.0.1:40123", with TLS "https://…", or "unix:/path"."""
        scheme = "http" if self._tls is None else "https"
        return self.address if self.address.startswith("unix:") else f"{scheme}://{self.address}"

    @property
    def port(self) -> int:
        """The port that the kernel chose."""
        return self._place[1]

    @property
    def requests(self) -> list[Request]:
        """All requests of which the head came, in order; `complete` tells whether the body came too."""
        return list(self._record.requests)

    @property
    def received(self) -> bytes:
        """All bytes of all connections, one connection after the other."""
        return b"".join(connection.received for connection in self.connections)

    def wait_for_requests(self, count: int, *, complete: bool = True, timeout: float = WAIT_SECONDS) -> list[Request]:
        """Wait until at least `count` requests came (with their bodies, unless complete=False)."""

        def came() -> int:
            return sum(request.complete or not complete for request in self.requests)

        self._record.wait(lambda: came() >= count, timeout, lambda: f"{came()} of {count} requests")
        return self.requests

    def wait_for_connections(self, count: int, timeout: float = WAIT_SECONDS) -> list[UpstreamConnection]:
        """Wait until at least `count` connections were accepted."""
        self._record.wait(
            lambda: len(self.connections) >= count, timeout, lambda: f"{len(self.connections)} of {count} connections"
        )
        return list(self.connections)

    def wait_until_idle(self, timeout: float = WAIT_SECONDS) -> None:
        """Wait until no connection is open any more."""

        def still_open() -> int:
            return sum(connection.is_open for connection in self.connections)

        self._record.wait(lambda: still_open() == 0, timeout, lambda: f"{still_open()} connections still open")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _accept_all(self) -> None:
        with self._listener:
            while not self._record.stopping:
                ready, _, _ = select.select([self._listener, self._woken], [], [])
                if self._listener in ready and not self._record.stopping:
                    self._accept()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.settimeout(IDLE_SECONDS)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = UpstreamConnection(self._record, sock, len(self.connections))
        connection.thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        self.connections.append(connection)
        self._record.changed()
        connection.thread.start()

    def _run(self, connection: UpstreamConnection) -> None:
        try:
            if self._tls is not None:
                connection.speak_tls(self._tls)
            self._serve(connection)
        except (OSError, IncompleteError, Stopped):
            pass  # the gateway left, or the test is over: both are the other side's story, not a failure of the script
        except BaseException as error:  # noqa: BLE001 - a failed assertion in a script must reach the test
            self.errors.append(error)
        finally:
            connection.close()
            connection.closed.set()
            self._record.changed()

    def _answer_all(self, connection: UpstreamConnection) -> None:
        while connection.is_open and (request := connection.read_request()) is not None:
            perform(self._next_reply(), connection, request)

    def _next_reply(self) -> Reply:
        with self._replying:
            index = min(self._replied, len(self._replies) - 1)
            self._replied += 1
        return self._replies[index]
