"""The door of the server: request ids, the key, the size of bodies, the log line, and the answer when all else fails.

Plain ASGI, so that a body is bounded before anything parses it and streams pass through unbuffered.
"""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emollm.serving.errors import ApiError, error_response, log, log_fault
from emollm.serving.limits import Limits

OPEN_PATHS = ("/health",)
DRAIN_S = 5.0


class Gate:
    """Wraps the app."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, limits: Limits) -> None:
        self._app = app
        self._key = api_key.encode() if api_key else None
        self._limits = limits

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

        body = b""
        headers = dict(scope["headers"])
        try:
            self._check_key(scope["path"], headers)
            body = await self._body(scope["method"], headers, receive)
            await self._app(scope, _replay(body, receive), tell)
        except Exception as error:  # noqa: BLE001  (the last resort: an error object instead of a dropped connection)
            if not isinstance(error, ApiError):
                log_fault(request_id, error)
            if not status:
                await error_response(error)(scope, receive, tell)
        finally:
            log.info("%s %d in %d out %d bytes %.3f s", request_id, status, len(body), sent, time.perf_counter() - start)

    def _check_key(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        if self._key is None or path in OPEN_PATHS:
            return
        kind, _, key = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key):
            return
        code = "invalid_api_key" if key else "missing_api_key"
        found = "the API key is wrong" if key else "this server needs an API key"
        message = f"{found}; send it as the header 'Authorization: Bearer KEY'."
        raise ApiError(401, message, code=code, headers={"www-authenticate": "Bearer"})

    async def _body(self, method: str, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if method != "POST":
            return b""
        limit = self._limits.body_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await _drain(receive, limit)
            raise _too_large(limit)
        if (kind := headers.get(b"content-type", b"").partition(b";")[0].strip().lower()) != b"application/json":
            found = kind.decode("latin-1")[:80] or "none"
            raise ApiError(415, f"the body must be application/json, but its content-type is {found!r}.", code="unsupported_content_type")
        pieces: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._limits.upload_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the connection closed before the body was complete.", code="client_closed")
                    pieces.append(message.get("body", b""))
                    size, more = size + len(pieces[-1]), message.get("more_body", False)
                    if size > limit:
                        pieces.clear()
                        if more:
                            await _drain(receive, limit)
                        raise _too_large(limit)
        except TimeoutError:
            raise ApiError(408, f"the body did not arrive within {self._limits.upload_s:.0f} s.", code="upload_timeout") from None
        return b"".join(pieces)


def _too_large(limit: int) -> ApiError:
    message = f"the body is larger than {limit} bytes, the limit of this server. Send a shorter or smaller clip."
    return ApiError(413, message, code="body_too_large", headers={"connection": "close"})


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


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
