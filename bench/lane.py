"""A lane without a gateway: answers the calls of one driver with a policy of the benchmark.

`lane.py FUNCTION JOBS ANSWERS BELL BACK`: the function in policies.py, and the numbers of four descriptors.
"""

import asyncio
import sys

from pylos._core import Lane
from pylos.policy.lane import Room
from pylos.policy.load import load
from pylos.policy.process import give_way, in_loop


async def answer(function: str, descriptors: list[int]) -> int:
    """Answer until the process is killed."""
    jobs, answers, bell, back = descriptors
    room = Room([load(f"policies:{function}", {})], lambda _, error: sys.exit(str(error)))
    room.attach(Lane(jobs, answers, bell, back), bell)
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    give_way()
    in_loop(answer(sys.argv[1], [int(one) for one in sys.argv[2:]]))
