"""A soak: a real gateway under mixed traffic, and something done to it all the time, and what must hold then.

`python -m soak --minutes 10` (`make soak MINUTES=10`). `run` is the story. `traffic` keeps clients of several `kinds`
going, each request over the `wire` with a token of its own; the `ledger` knows what became of each. `chaos` takes one
of the `actions` after the other, by a seed; what it does stands in `incidents`, which explain what may fail. `targets`
are the servers behind the gateway, `served` is the gateway, `document` its configuration, `log_lines` reads its access
log, `watch` its memory. `report` tells it all.
"""
