"""What a run is told."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LATER = {"upgrade": "pylos.cli.upgrade", "kill_supervisor": "pylos.cli.upgrade", "reopen": "pylos.cli.reopen"}
"""What is done to a gateway only where it has the command that it needs: a new supervisor adopts the gateway process of
one that is gone since there is `pylos upgrade`.
"""


@dataclass(frozen=True)
class Options:
    """What a run is told."""

    seconds: float = 600.0
    """Of chaos; warming up and calming down come on top of it."""
    seed: int = 0
    size: float = 1.0
    """How many clients, as a factor."""
    without: frozenset[str] = frozenset()
    """Actions that are left out."""
    only: frozenset[str] = frozenset()
    """Only these, where there are any."""
    every: float = 2.0
    """Seconds from one action to the next, on average."""
    folder: Path | None = None
    """Where the logs stay; a temporary one else, which goes with a run that found nothing."""

    @property
    def absent(self) -> frozenset[str]:
        """Actions for which this gateway has no command."""
        return frozenset(action for action, module in LATER.items() if find_spec(module) is None)

    def again(self) -> str:
        """Spell the command that does the same again."""
        words = ["python -m soak", f"--seconds {self.seconds:g}", f"--seed {self.seed}"]
        words += [f"--size {self.size:g}"] if self.size != 1 else []
        words += [f"--every {self.every:g}"] if self.every != Options.every else []
        words += [f"--without {','.join(sorted(self.without))}"] if self.without else []
        words += [f"--only {','.join(sorted(self.only))}"] if self.only else []
        return " ".join(words)


def parsed(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m soak", description="Traffic and chaos; exit code 1 when it broke.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="how long (10)")
    length.add_argument("--seconds", type=float, help="how long, in seconds")
    parser.add_argument("--seed", type=int, help="does the same as a run before")
    parser.add_argument("--size", type=float, default=Options.size, help="how many clients, as a factor (1)")
    parser.add_argument("--every", type=float, default=Options.every, help="seconds between two actions (2)")
    parser.add_argument("--without", default="", metavar="ACTION,...", help="leaves these out")
    parser.add_argument("--only", default="", metavar="ACTION,...", help="does only these")
    parser.add_argument("--folder", type=Path, help="where logs and configuration stay")
    given = parser.parse_args(arguments)
    seconds = given.seconds if given.seconds is not None else (given.minutes or 10.0) * 60
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    return Options(seconds, seed, given.size, _names(given.without), _names(given.only), given.every, given.folder)


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))
