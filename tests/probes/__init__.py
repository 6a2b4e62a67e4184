"""Our own table of raw-byte HTTP/1.1 probes, and what runs it against a proxy."""
