"""What disturbs others: a process that misbehaves as a policy does, or a client that asks for that policy.

`nuisance.py process FUNCTION` has a process call the function in policies.py, again when that has died, for ever.
`nuisance.py client URL` asks for it one request after the other. A line is printed when it has begun.
"""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

AGAIN_SECONDS = 1.0
"""About how often a supervisor starts anew what dies."""
REST_SECONDS = 0.5
"""The pause of a client that was refused without the policy having been asked."""
FOLDER = Path(__file__).parent
CALL = "import sys, policies; print('begun', flush=True); getattr(policies, sys.argv[1]).function(None)"


def misbehave(function: str) -> None:
    """Have a process that is none of the gateway's."""
    while True:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", CALL, function], check=False, cwd=FOLDER)
        time.sleep(max(0.0, began + AGAIN_SECONDS - time.monotonic()))


def ask(url: str) -> None:
    """Ask, whatever the answer is."""
    print("begun", flush=True)
    while True:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - the gateway of the benchmark
                answer.read()
        except urllib.error.HTTPError as error:
            rests = error.headers.get("pylos-reason") == "policy_given_up"
            error.close()
            # While the policy rests it is not asked: to ask on would be to measure this client, which shares a core
            # with load and backend.
            time.sleep(REST_SECONDS if rests else 0.01)


if __name__ == "__main__":
    {"process": misbehave, "client": ask}[sys.argv[1]](sys.argv[2])
