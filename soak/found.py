"""What a run has found, for the report."""

from __future__ import annotations

from dataclasses import dataclass

from soak.chaos import Chaos
from soak.options import Options
from soak.site import Site
from soak.watch import Sample


@dataclass
class Found:
    """Filled while it runs."""

    options: Options
    site: Site
    chaos: Chaos
    before: Sample | None = None
    after: Sample | None = None
    most_rss: int = 0
    """Resident bytes of the gateway, at most."""
    exit_code: int | None = None
