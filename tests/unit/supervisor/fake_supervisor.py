"""A real supervisor over gateway processes in miniature.

`FD` as class Gateway starts it, or `serve FILE READY_FD`, with `unwatched` behind it for one that only signals and
commands move.
"""

import asyncio
import sys
from pathlib import Path

from pylos.supervisor import run
from pylos.supervisor.owner import serve_owner
from pylos.supervisor.serve import serve

FAKE_GATEWAY = Path(__file__).parent / "fake_gateway.py"


class Blind(run.Watcher):
    """Sees nothing."""

    async def follow(self, files: object, known: bytes = b"") -> None: ...


if __name__ == "__main__":
    run.gateway_command = lambda: [sys.executable, "-S", str(FAKE_GATEWAY)]
    if "unwatched" in sys.argv:
        run.Watcher = Blind
    if sys.argv[1] == "serve":
        sys.exit(serve(sys.argv[2], int(sys.argv[3])))
    sys.exit(asyncio.run(serve_owner(int(sys.argv[1]))))
