"""Limits of this process that the gateway process inherits."""

from __future__ import annotations

import resource
from contextlib import suppress

from pylos.supervisor import log


def raise_descriptor_limit() -> None:
    """Take all the descriptors that the system allows: each connection needs one, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    with suppress(OSError, ValueError):  # macOS says that the hard limit is infinite, and refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return
    log.warning("descriptor_limit", f"no more than {soft} connections can be open", descriptors=soft)
