"""The control plane. It holds the listening sockets, keeps one gateway process running and tells it what to do.

It is not in the way of any request. The files are the stages of its life: run (the story), source, sockets, process and
channel, apply, history, watch; backoff, events, reports and log serve them. What it stands on is ground: state and
keys, account and capability, what a service manager passes (activation) and is told (notify), and the place below PID 1
of a container (container, reaper). It is asked by the program that owns it (owner) or
by commands (control, in the folder of runtime), both with the questions of answers; line is the asker's end.
"""

from pylos.supervisor.control import connect
from pylos.supervisor.runtime import DEFAULT_NAME
from pylos.supervisor.serve import serve

__all__ = ["DEFAULT_NAME", "connect", "serve"]
