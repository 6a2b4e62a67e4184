"""`python -m pylos.supervisor FD`: what `class Gateway` starts; FD is its end of a socket pair (see owner.py)."""

from __future__ import annotations

import asyncio
import sys

from pylos.supervisor.owner import serve_owner

if __name__ == "__main__":
    sys.exit(asyncio.run(serve_owner(int(sys.argv[1]))))
