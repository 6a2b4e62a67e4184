"""Configuration files with places to fill, `@PORT@`: so each stands as the file that its proxy reads."""

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PLACE = re.compile(r"@([A-Z_]+)@")


def fill(name: str, values: Mapping[str, object]) -> str:
    """Fill every place. An unknown one is a KeyError: a proxy must not start with half a configuration."""
    return PLACE.sub(lambda place: str(values[place[1]]), (FOLDER / name).read_text())
