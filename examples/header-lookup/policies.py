"""A field from a table."""

import csv
from pathlib import Path
from types import SimpleNamespace

from pylos import Allow, Request, policy


@policy.start
def read_table(state: SimpleNamespace) -> None:
    with (Path(__file__).parent / "teams.csv").open(encoding="utf-8", newline="") as file:
        state.teams = dict(csv.reader(file))


@policy
def team(request: Request) -> Allow:
    product = request.path.split("/")[1]
    return Allow(headers={"x-team": request.state.teams.get(product)})
