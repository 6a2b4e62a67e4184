"""The manual is no package: the reader of its pages lies here, beside the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
