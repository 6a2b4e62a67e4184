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
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They frame a message or belong to one connection: the gateway writes them."""
