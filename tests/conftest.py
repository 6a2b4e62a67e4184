"""What all tests share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `probes` and for what `system` has beside its tests
sys.path.append(str(Path(__file__).parents[1]))  # for `soak`
