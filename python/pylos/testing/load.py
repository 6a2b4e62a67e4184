"""A steady load, to prove that something (a reload, a lost process, a dead target) goes unnoticed by clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pylos.testing.address import Address
from pylos.testing.client import RawClient


class SteadyLoad:
    """Some clients that send GETs one after the other until stopped.

        with SteadyLoad(gateway.address(), clients=4) as load:
            ...                       # reload, kill, drain
            load.wait_for(200)        # 200 more answers from now on
        assert load.failures == []

    `keep_alive=False` opens a connection for each request (is anything refused?). A request fails when it gets no whole
    answer or a status that `accept` refuses (default: only 200). A kept connection that the gateway closed between two
    requests is opened anew and the request sent again: that is what HTTP clients do, and no failure.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, all with defaults
        self,
        address: Address,
        *,
        clients: int = 2,
        target: str = "/",
        keep_alive: bool = True,
        pause: float = 0.002,
        accept: Callable[[int], bool] = lambda status: status == 200,
    ) -> None:
        self.answers = 0
        """Accepted answers so far."""
        self.failures: list[str] = []
        """One line for each request that failed."""
        self._address, self._target, self._keep_alive, self._pause = address, target, keep_alive, pause
        self._accept = accept
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def wait_for(self, answers: int, timeout: float = 30.0) -> None:
        """Wait until `answers` more requests than now were answered or failed."""
        with self._changed:
            goal = self._total() + answers
            if not self._changed.wait_for(lambda: self._total() >= goal, timeout):
                raise TimeoutError(f"{self._total()} of {goal} requests after {timeout} s")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _total(self) -> int:
        return self.answers + len(self.failures)

    def _run(self) -> None:
        client: RawClient | None = None
        while not self._over.wait(self._pause):
            client = self._one(client)
        if client:
            client.close()

    def _one(self, client: RawClient | None) -> RawClient | None:
        started = time.monotonic()
        failure: str | None = None
        try:
            client, status = self._exchange(client)
            if not self._accept(status):
                failure = f"status {status}"
        except (OSError, EOFError, AssertionError) as error:
            failure = f"{type(error).__name__}: {error} after {time.monotonic() - started:.3f} s"
            client = None
        with self._changed:
            if failure is None:
                self.answers += 1
            else:
                self.failures.append(failure)
            self._changed.notify_all()
        return client

    def _exchange(self, client: RawClient | None) -> tuple[RawClient | None, int]:
        if client is not None:
            before = client.received_count
            try:
                return self._send(client)
            except (EOFError, ConnectionResetError, BrokenPipeError):
                if client.received_count != before:
                    raise  # in the middle of an answer: no client may send that again
        return self._send(RawClient(self._address))

    def _send(self, client: RawClient) -> tuple[RawClient | None, int]:
        try:
            response = client.get(self._target)
        except BaseException:
            client.close()
            raise
        if self._keep_alive and "close" not in (response.header("connection") or "").lower():
            return client, response.status
        client.close()
        return None, response.status
