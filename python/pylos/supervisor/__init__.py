"""The control plane. It holds the listening sockets, keeps one gateway process running and tells it what to do.

It is not in the way of any request. The files are the stages of its life: run (the story), source, sockets, process and
channel, apply, history, watch; backoff, events and log serve them. It is asked by the program that owns it (owner) or
by commands (control, in the folder of runtime), both with the questions of answers; line is the asker's end.
"""

from pylos.supervisor.control import connect
from pylos.supervisor.runtime import DEFAULT_NAME
from pylos.supervisor.serve import serve

__all__ = ["DEFAULT_NAME", "connect", "serve"]
