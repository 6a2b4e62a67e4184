"""What a field may be called and hold, for what is checked in Python; the core has the same rules for what it sends."""

from __future__ import annotations

import re

FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, 5.6.2."""
FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""No control characters but the tab (RFC 9110, 5.5)."""
OWN = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "max-forwards",
        "proxy",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They frame a message or belong to one connection: the gateway writes them."""
OF_ANSWERS = OWN | {"content-type", "date", "pylos-reason", "x-request-id"}
"""Likewise in an answer of the gateway's own, or told in another way."""
