"""`python -m soak`."""

import sys

from soak.options import parsed
from soak.run import soak

if __name__ == "__main__":
    sys.exit(soak(parsed()))
