"""From a file, or a `Config` made in Python, to the table that the gateway runs: load, parse, check, lower."""

from pylos.config.load import Loaded, load, load_text
from pylos.config.twin import Config, proxy_to

__all__ = ["Config", "Loaded", "load", "load_text", "proxy_to"]
