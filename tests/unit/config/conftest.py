"""Tests are no package: what several of them use lies here, beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
