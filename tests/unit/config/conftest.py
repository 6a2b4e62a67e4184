"""Tests are no package: what several of them use lies here beside them, or above where other folders use it too."""

import sys
from pathlib import Path

sys.path += [str(folder) for folder in Path(__file__).resolve().parents[:2]]
