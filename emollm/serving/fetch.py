"""The only place that opens a connection to elsewhere: clips by URL, from hosts that were allowed by name.

A host is looked up once, every address it has must be a public one, and the connection goes to the address that was checked, so that a
name that changes afterwards leads nowhere else. Redirects are followed by hand and checked the same way. Off unless hosts are given.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from emollm.serving.errors import ApiError
from emollm.serving.limits import Limits
from emollm.serving.private import storing

PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
Resolve = Callable[[str, int], list[str]]
"""A host's name and a port to its addresses; OSError if it has none."""


def addresses(host: str, port: int) -> list[str]:
    """What the system says a name means."""
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet; IPv4 inside IPv6 is looked at as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


class Fetcher:
    """Fetches clips.

    Args:
        hosts: Names that may be asked, as `media.example.org` or with a port, `media.example.org:8443`; none: nothing is fetched.
        limits: How long and how large.
        resolve: How names are looked up.
        may_reach: Which addresses may be connected to.
    """

    def __init__(
        self,
        hosts: Collection[str],
        limits: Limits,
        *,
        resolve: Resolve = addresses,
        may_reach: Callable[[str], bool] = is_public,
    ) -> None:
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._limits = limits
        self._resolve = resolve
        self._may_reach = may_reach

    def check(self, url: str, param: str) -> None:
        """Refuse an address without asking anyone.

        Raises:
            ApiError: 400 `remote_media_disabled` or `url_not_allowed`.
        """
        if not self._hosts:
            raise ApiError(
                400,
                f"{param}: this server fetches nothing; send the clip itself as a data: URL.",
                code="remote_media_disabled",
                param=param,
            )
        self._place(url, param)

    def fetch(self, url: str, to: Path, param: str) -> None:
        """Write what an address holds to a file.

        Raises:
            ApiError: 400 for an address that is not allowed or has nothing, 413 beyond the size, 504 beyond the time.
        """
        import httpx

        due = time.monotonic() + self._limits.fetch_s
        try:
            with httpx.Client(trust_env=False, follow_redirects=False, timeout=min(10.0, self._limits.fetch_s)) as client:
                for _ in range(self._limits.redirects + 1):
                    onward = self._one(client, url, to, param, due)
                    if onward is None:
                        return
                    url = onward
        except httpx.TimeoutException:
            raise _late(param) from None
        except httpx.HTTPError as error:
            message = f"{param}: the clip could not be fetched ({type(error).__name__})."
            raise ApiError(400, message, code="media_not_fetched", param=param) from None
        raise ApiError(400, f"{param}: more than {self._limits.redirects} redirects.", code="url_not_allowed", param=param)

    def _one(self, client: object, url: str, to: Path, param: str, due: float) -> str | None:
        """One request; the address to go on to, if there is one."""
        import httpx

        assert isinstance(client, httpx.Client)
        place, host, port = self._place(url, param)
        address = self._pinned(host, port, param)
        bracketed = f"[{address}]" if ":" in address else address
        target = f"{place.scheme}://{bracketed}:{port}{place.path or '/'}{f'?{place.query}' if place.query else ''}"
        name = host if port == PORTS[place.scheme] else f"{host}:{port}"
        headers = {"host": name, "accept-encoding": "identity", "user-agent": "emollm"}
        with client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response:
            if response.status_code in REDIRECTS:
                return urljoin(url, response.headers.get("location", ""))
            if response.status_code != 200:
                message = f"{param}: the other server answered {response.status_code}."
                raise ApiError(400, message, code="media_not_fetched", param=param)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise ApiError(415, f"{param}: the other server sent a packed body.", code="unsupported_media", param=param)
            declared = response.headers.get("content-length", "")
            if declared.isdigit() and int(declared) > self._limits.fetch_bytes:
                raise self._too_large(param)
            self._write(response, to, param, due)
        return None

    def _write(self, response: object, to: Path, param: str, due: float) -> None:
        import httpx

        assert isinstance(response, httpx.Response)
        size = 0
        with storing(), to.open("wb") as out:
            for chunk in response.iter_raw():  # as it comes: filling a chunk would wait for a slow server
                size += len(chunk)
                if size > self._limits.fetch_bytes:
                    raise self._too_large(param)
                if time.monotonic() > due:
                    raise _late(param)
                out.write(chunk)

    def _place(self, url: str, param: str) -> tuple[SplitResult, str, int]:
        """The parts of an allowed address."""
        refusal = ApiError(400, f"{param}: this address is not one that this server may ask.", code="url_not_allowed", param=param)
        try:
            place = urlsplit(url)
            host = (place.hostname or "").encode("idna").decode().lower().rstrip(".")
            port = place.port or PORTS[place.scheme]
        except (ValueError, KeyError, UnicodeError):
            raise refusal from None
        if place.username is not None or place.password is not None or any(c.isspace() or ord(c) < 32 for c in url):
            raise refusal
        if (host in self._hosts and place.port in (None, PORTS[place.scheme])) or f"{host}:{port}" in self._hosts:
            return place, host, port
        raise refusal

    def _pinned(self, host: str, port: int, param: str) -> str:
        """The address to connect to; all that the name has must be allowed."""
        try:
            found = self._resolve(host, port)
        except OSError:
            raise ApiError(400, f"{param}: the host has no address.", code="media_not_fetched", param=param) from None
        if not found or not all(self._may_reach(address) for address in found):
            raise ApiError(400, f"{param}: this address is not one that this server may ask.", code="url_not_allowed", param=param)
        return found[0]

    def _too_large(self, param: str) -> ApiError:
        return ApiError(413, f"{param}: the clip is larger than {self._limits.fetch_bytes} bytes.", code="media_too_large", param=param)


def _late(param: str) -> ApiError:
    return ApiError(504, f"{param}: the other server was too slow.", code="fetch_timeout", param=param)
