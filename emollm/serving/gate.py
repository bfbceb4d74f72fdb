"""The door of the server: request ids, the key, the size of bodies, the log line, and the answer when all else fails.

Plain ASGI, so that a body is bounded before anything parses it and streams pass through unbuffered.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Collection, Mapping, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emollm.serving.errors import ApiError, error_response, log, log_fault
from emollm.serving.limits import Limits
from emollm.serving.meters import Meters

OPEN_PATHS = ("/health", "/ready")
MULTIPART_PATHS = ("/v1/files", "/v1/audio/transcriptions")
FORM_ROOM = 65_536  # bytes of a multipart body beside the file
DRAIN_S = 5.0


class Gate:
    """Wraps the app.

    Args:
        app: What is let through to.
        api_keys: One of them is asked for on every address but /health and /ready; none: nobody is asked.
        limits: Of bodies.
        meters: Count requests.
        hosts: Names that the server may be called by; any if None. A page elsewhere can make its own name mean this machine.
        origins: Web pages that may ask where no key is needed, as `https://app.example.org`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_keys: Sequence[str],
        limits: Limits,
        meters: Meters,
        hosts: Collection[str] | None = None,
        origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._keys = [key.encode() for key in api_keys]
        self._limits = limits
        self._meters = meters
        self._hosts = None if hosts is None else frozenset(hosts)
        self._origins = frozenset(origins)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        start, status, sent = time.perf_counter(), 0, 0

        async def tell(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            sent += len(message.get("body", b""))
            await send(message)

        body = _Body(self._limits, receive)
        headers = dict(scope["headers"])
        try:
            self._check_page(headers)
            scope["state"]["owner"] = self._owner(scope["path"], headers)
            await self._let_through(scope, headers, body, tell)
        except Exception as error:  # noqa: BLE001  (the last resort: an error object instead of a dropped connection)
            if not isinstance(error, ApiError):
                log_fault(request_id, error)
            if not status:
                await error_response(error)(scope, receive, tell)
        finally:
            seconds = time.perf_counter() - start
            route = str(getattr(scope.get("route"), "path", "other"))
            self._meters.count("emollm_requests_total", route=route, status=str(status))
            self._meters.time("emollm_request_seconds", seconds, route=route)
            log.info("%s %d in %d out %d bytes %.3f s", request_id, status, body.seen, sent, seconds)

    async def _let_through(self, scope: Scope, headers: Mapping[bytes, bytes], body: _Body, tell: Send) -> None:
        if scope["method"] != "POST" or _empty(headers):
            await self._app(scope, body.nothing, tell)
            return
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        forms = scope["path"] in MULTIPART_PATHS
        wanted = b"multipart/form-data" if forms else b"application/json"
        limit = self._limits.file_bytes + FORM_ROOM if forms else self._limits.body_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise await body.too_large(limit)
        if kind != wanted:
            found = kind.decode("latin-1")[:80] or "none"
            message = f"the body must be {wanted.decode()}, but its content-type is {found!r}."
            raise ApiError(415, message, code="unsupported_content_type")
        if forms:  # read piece by piece, to disk
            await self._app(scope, body.bounded(limit), tell)
            return
        claim = int(declared) if declared.isdigit() else limit
        if self._held + claim > max(self._limits.held_bytes, limit):
            raise ApiError(429, "too many large requests at once. Try again in a moment.", code="server_busy", headers={"retry-after": "2"})
        self._held += claim
        try:
            await self._app(scope, body.replayed(await body.whole(limit)), tell)
        finally:
            self._held -= claim

    def _check_page(self, headers: Mapping[bytes, bytes]) -> None:
        """Without a key, web pages could have their visitors' browsers ask this server; only those that were named may."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        if self._hosts is not None and name not in self._hosts:
            raise ApiError(403, f"this server is not called {name[:80]!r}; ask it at 127.0.0.1.", code="host_not_allowed")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not self._keys and origin not in self._origins:
            message = f"web pages of {origin[:80]!r} may not ask this server; name them with --cors-origin, or set an API key."
            raise ApiError(403, message, code="origin_not_allowed")

    def _owner(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        """Whose request it is, told from the key without holding it."""
        if not self._keys or path in OPEN_PATHS:
            return ""
        kind, _, key = headers.get(b"authorization", b"").partition(b" ")
        matches = [hmac.compare_digest(key.strip(), known) for known in self._keys]  # all of them, so that time tells nothing
        if kind.lower() == b"bearer" and any(matches):
            return hashlib.sha256(key.strip()).hexdigest()[:16]
        code = "invalid_api_key" if key else "missing_api_key"
        found = "the API key is wrong" if key else "this server needs an API key"
        message = f"{found}; send it as the header 'Authorization: Bearer KEY'."
        raise ApiError(401, message, code=code, headers={"www-authenticate": "Bearer"})


class _Body:
    """The body of one request on its way in."""

    def __init__(self, limits: Limits, receive: Receive) -> None:
        self._limits = limits
        self._receive = receive
        self.seen = 0  # bytes

    async def whole(self, limit: int) -> bytes:
        """All of it, in memory."""
        receive = self.bounded(limit)
        pieces: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ApiError(400, "the connection closed before the body was complete.", code="client_closed")
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(pieces)

    def bounded(self, limit: int) -> Receive:
        """Piece by piece, within the limits of size and time; afterwards as it comes."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._limits.upload_s
        complete = False

        async def receive() -> Message:
            nonlocal complete
            if complete:
                return await self._receive()
            try:
                message = await asyncio.wait_for(self._receive(), max(due - loop.time(), 0.001))
            except TimeoutError:
                complete = True
                raise ApiError(408, f"the body did not arrive within {self._limits.upload_s:.0f} s.", code="upload_timeout") from None
            self.seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if self.seen > limit:
                rest, complete = not complete, True
                raise await self.too_large(limit, rest=rest)
            return message

        return receive

    async def too_large(self, limit: int, *, rest: bool = True) -> ApiError:
        """The refusal, after some of what is still coming was thrown away, so that a client busy sending gets to read it."""
        if rest:
            await _drain(self._receive, limit)
        message = f"the body is larger than {limit} bytes, the limit of this server. Send a shorter or smaller clip."
        return ApiError(413, message, code="body_too_large", headers={"connection": "close"})

    def replayed(self, body: bytes) -> Receive:
        """The body in one piece, and then what comes after it."""
        told = False

        async def receive() -> Message:
            nonlocal told
            if told:
                return await self._receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    @property
    def nothing(self) -> Receive:
        """No body, whatever comes."""
        return self.replayed(b"")


def _empty(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request announces no body and names no type for one."""
    return headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers and b"content-type" not in headers


async def _drain(receive: Receive, limit: int) -> None:
    """Throw away some of what is still coming, so that a client busy sending gets to read the answer."""
    seen = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while seen < 2 * limit:
                message = await receive()
                seen += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
