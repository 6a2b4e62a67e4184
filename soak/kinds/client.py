"""What every client has."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from soak.ledger import Ledger
from soak.wire import Kept


@dataclass
class Client:
    """One client: where it goes, what it keeps, its own chance."""

    port: int
    ledger: Ledger
    chance: random.Random
    kept: Kept
    going: asyncio.Event
    """Set as long as clients are to go on; what could last longer comes to its end then."""
