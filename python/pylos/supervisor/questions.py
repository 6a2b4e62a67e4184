"""What others ask a supervisor, and only its gateway process can answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pylos.config.explain import explanation_of
from pylos.config.policies import find_python, python_of
from pylos.config.secrets import values_at
from pylos.supervisor.channel import Message
from pylos.supervisor.process import GatewayProcess
from pylos.supervisor.source import Checked


class Questions(ABC):
    """The supervisor that is asked."""

    @property
    @abstractmethod
    def _serving_process(self) -> GatewayProcess:
        """The gateway process that serves. Raises GatewayLostError between two."""

    @property
    @abstractmethod
    def checked(self) -> Checked:
        """The configuration in use."""

    @property
    @abstractmethod
    def table(self) -> dict[str, Any]:
        """The table in use, addresses as they really are."""

    async def status(self) -> Message:
        """Ask the gateway process how it is doing."""
        return await self._serving_process.status()

    async def forget(self, policy: str | None) -> list[str]:
        """Forget what is remembered of a policy's decisions, or of all; gives the policies. Raises PylosError."""
        policies = self.checked.table["policy"]
        if policy is not None:
            find_python(policies, policy)
        await self._serving_process.forget(policy)
        return list(python_of(policies)) if policy is None else [policy]

    async def explain(self, question: Mapping[str, Any]) -> Message:
        """Ask the gateway process where a request would go; secrets are not told."""
        before = values_at(self.table, self.checked.secrets)
        explanation = await self._serving_process.explain(question)
        # A reload may have come between.
        told = explanation_of(explanation, before | values_at(self.table, self.checked.secrets))
        return told.model_dump(by_alias=True)

    async def advance(self, ms: int) -> None:
        """Put the gateway's time forward: for tests."""
        await self._serving_process.advance(ms)
