"""Ports of this machine."""

import socket


def free_port() -> int:
    """Return a port that nothing listens on, for what has to be told one before it starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
