"""The address a page is served at: how it is called, and whether it can be had."""

from __future__ import annotations

import errno
import socket

from emollm.errors import BackendError


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds the page."""
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


def check_free(host: str, port: int) -> None:
    """Say before starting that an address cannot be had, and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "another program already uses it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            other = port + 1 if port < 65535 else 7860
            raise BackendError(
                f"cannot open port {port} on {host}: {reason}. Choose another one, e.g. emollm app --port {other}",
                code="port_unavailable",
            ) from error
