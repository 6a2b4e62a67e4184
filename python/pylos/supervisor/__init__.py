"""The control plane. It holds the listening sockets, keeps one gateway process running and tells it what to do.

It is not in the way of any request. The files are the stages of its life: run (the story), source, sockets, process and
channel, apply, watch; backoff, events and log serve them.
"""

from pylos.supervisor.serve import serve

__all__ = ["serve"]
