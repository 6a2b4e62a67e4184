"""A real supervisor over gateway processes in miniature: `FD` as class Gateway starts it, `serve FILE READY_FD`."""

import asyncio
import sys
from pathlib import Path

from pylos.supervisor import run
from pylos.supervisor.owner import serve_owner
from pylos.supervisor.serve import serve

FAKE_GATEWAY = Path(__file__).parent / "fake_gateway.py"

if __name__ == "__main__":
    run.gateway_command = lambda: [sys.executable, "-S", str(FAKE_GATEWAY)]
    if sys.argv[1] == "serve":
        sys.exit(serve(sys.argv[2], int(sys.argv[3])))
    sys.exit(asyncio.run(serve_owner(int(sys.argv[1]))))
