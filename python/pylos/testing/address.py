"""Addresses as the test kit takes them: "127.0.0.1:8080", "[::1]:8080", "http://…", "unix:/path", or a (host, port)."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

Address = str | tuple[str, int]


def connect(
    address: Address,
    timeout: float,
    source: str | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> socket.socket:
    """Open a connection, with TCP_NODELAY: what a test sends in two pieces shall not travel as one.

    With `tls` the handshake is done when this returns; it asks for `server_name`, by default the host of the address.
    Raises ssl.SSLError where it fails.
    """
    sock = connect_plain(address, timeout, source)
    if tls is None:
        return sock
    host = None if sock.family == socket.AF_UNIX else host_and_port(address)[0]
    try:
        return tls.wrap_socket(sock, server_hostname=server_name or host)
    except BaseException:
        sock.close()
        raise


def connect_plain(address: Address, timeout: float, source: str | None) -> socket.socket:
    """Open a connection without TLS."""
    if isinstance(address, str) and address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(address.removeprefix("unix:"))
        return sock
    origin = (source, 0) if source else None
    sock = socket.create_connection(host_and_port(address), timeout=timeout, source_address=origin)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def host_and_port(address: Address) -> tuple[str, int]:
    """Split an address; a wildcard address is reached over loopback."""
    if isinstance(address, tuple):
        return address
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{address!r} is not host:port, a URL with a port, or unix:/path")
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - this is the way from a wildcard, not to it
    return loopback.get(parts.hostname, parts.hostname), parts.port


def listen(host: str, port: int, unix: Path | None) -> socket.socket:
    """Open a listening socket; port 0 lets the kernel choose."""
    if unix is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unix.unlink(missing_ok=True)
        sock.bind(str(unix))
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    sock.listen(1024)
    return sock


def spelled(sock: socket.socket) -> str:
    """Spell the address that a socket is bound to."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"
