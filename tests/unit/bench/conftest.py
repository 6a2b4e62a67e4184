"""The benchmark is no part of the package: its folder lies at the root."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
