"""Documents that tests begin with and add to."""

LISTENERS = """\
[listen.http]
bind = "127.0.0.1:8080"
[listen.ops]
bind = "127.0.0.1:9180"
serve = ["health"]
[upstream.web]
targets = ["http://10.0.0.1:8000"]
"""
"""A listener for traffic, one for health checks, and an upstream `web`."""
