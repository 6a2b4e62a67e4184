"""From `module:function` and plain settings to a policy that can be asked."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylos.policy.declare import Hook, Policy

if TYPE_CHECKING:
    from pydantic import BaseModel

THREADS = 32
"""Of each policy that is `blocking` and says nothing else."""


@dataclass(frozen=True)
class Fault:
    """Why a policy cannot be used."""

    path: tuple[str | int, ...]
    """The key of its table that is wrong: `call`, or `settings` and what follows."""
    message: str
    hint: str | None = None


class LoadError(Exception):
    """A policy cannot be used; its faults say why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass(frozen=True)
class Loaded:
    """A policy, and the settings that it is called with."""

    policy: Policy
    settings: BaseModel | None
    concurrency: int | None = None
    """Calls of it that run at once; None: as many as there are, or as there are threads."""

    @property
    def threads(self) -> int:
        """How many it may have to itself."""
        return (self.concurrency or THREADS) if self.policy.blocking else 0


def load(call: str, settings: Mapping[str, Any]) -> Loaded:
    """Import a policy, and read its settings. Raises LoadError.

    `call` is `module:function`, or the name of an entry point in the group `pylos.policies`.
    """
    found = found_at(call)
    if found.settings is None:
        if settings:
            raise LoadError(
                [Fault(("settings",), f"{call} takes no settings", "@policy(settings=Model) gives it some")]
            )
        return Loaded(found, None)
    from pydantic import ValidationError  # noqa: PLC0415 - it takes long, and the module with the settings has it

    try:
        return Loaded(found, found.settings.model_validate(settings))
    except ValidationError as error:
        faults = [
            Fault(("settings", *one["loc"]), in_words(one["type"], one["msg"]))
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise LoadError(faults) from None
    except Exception as error:  # noqa: BLE001 - what a validator of the user's may raise
        told = "".join(traceback.format_exception(error)).rstrip()
        raise LoadError([Fault(("settings",), f"the settings cannot be read\n{told}")]) from None


def hooks_of(loaded: Sequence[Loaded]) -> tuple[list[Hook], list[Hook]]:
    """Give the hooks of the modules that these policies are from: for the start, and for the stop in reverse."""
    modules = dict.fromkeys(one.policy.function.__module__ for one in loaded)
    values = [value for name in modules for value in vars(sys.modules[name]).values() if isinstance(value, Hook)]
    hooks = list({id(hook): hook for hook in values}.values())
    start = [hook for hook in hooks if hook.moment == "start"]
    return start, [hook for hook in reversed(hooks) if hook.moment == "stop"]


def found_at(call: str) -> Policy:
    """Give what `module:function` names."""
    module, colon, name = call.partition(":")
    if not colon:
        return entry_point(call)
    if not (module and colon and name.isidentifier()):
        raise LoadError([Fault(("call",), f"{call!r} names no function", 'write "module:function"')])
    try:
        held = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name is not None and (module == error.name or module.startswith(f"{error.name}."))
        hint = "is it installed where the gateway runs, or on PYTHONPATH?" if missing else None
        raise LoadError([Fault(("call",), f"there is no module {error.name}", hint)]) from None
    except BaseException as error:  # noqa: BLE001 - a module may raise what it likes, sys.exit included
        told = "".join(traceback.format_exception(error)).rstrip()
        raise LoadError([Fault(("call",), f"{module} cannot be imported\n{told}")]) from None
    found = getattr(held, name, None)
    if isinstance(found, Policy):
        return found
    if found is None:
        names = [known for known, value in vars(held).items() if isinstance(value, Policy)]
        hint = f"its policies are {', '.join(names)}" if names else "it has no policies: @policy makes one"
        raise LoadError([Fault(("call",), f"{module} has no {name}", hint)])
    raise LoadError([Fault(("call",), f"{call} is no policy", "put @policy before the function")])


def entry_point(name: str) -> Policy:
    """Give what an installed package names in its entry points."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - seldom wanted, and takes long

    found = entry_points(group=GROUP, name=name)
    if not found:
        known = sorted(point.name for point in entry_points(group=GROUP))
        hint = f"known are {', '.join(known)}" if known else 'write "module:function", or install what has it'
        raise LoadError([Fault(("call",), f"no installed package has a policy {name!r}", hint)])
    return found_at(next(iter(found)).value)


GROUP = "pylos.policies"
"""Of entry points."""


def in_words(kind: str, message: str) -> str:
    """Say what is wrong with a setting."""
    words = {"missing": "is missing", "extra_forbidden": "unknown key"}
    return words.get(kind, message[:1].lower() + message[1:])
