"""Addresses that prompt embeddings may be sent to: this machine and private networks, unless someone says otherwise.

Embeddings show what people look and sound like, and the other side unpacks them as a file of torch: neither belongs on a public address.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from emollm.errors import BackendError


def checked(url: str, *, public: bool = False) -> str:
    """The address of a completions server, without a slash at its end.

    Args:
        url: Up to and including `/v1`, e.g. "http://127.0.0.1:9000/v1".
        public: Accept addresses outside of private networks too.

    Raises:
        BackendError: If it is no http address, its name is not known, or any address of the name is public.
    """
    asked = url.strip().rstrip("/")
    try:
        parts = urlsplit(asked)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BackendError(f"{url!r} is no address of a vLLM server: {error}.", code="invalid_request") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.query or parts.fragment:
        raise BackendError(f"{url!r} is no address of a vLLM server. Give one like http://127.0.0.1:9000/v1.", code="invalid_request")
    try:
        found = socket.getaddrinfo(host, port or (443 if parts.scheme == "https" else 80), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BackendError(f"the name {host!r} of the engine's address is not known here ({error}).", code="invalid_request") from None
    outside = sorted({str(where[4][0]) for where in found if not _private(str(where[4][0]))})
    if outside and not public:
        raise BackendError(
            f"{host} is {outside[0]}, a public address, and embeddings of people's clips would go there, to be unpacked as a file. Use a "
            "loopback or private address, or a tunnel; --engine-public accepts it all the same.",
            code="invalid_request",
        )
    return asked


def _private(address: str) -> bool:
    """Whether an address can only be reached from this machine or a private network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return True
    return ip.is_private and not (ip.is_unspecified or ip.is_multicast or ip.is_reserved)
