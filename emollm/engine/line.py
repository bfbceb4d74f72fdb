"""Requests on their way to another process: one thread with an event loop carries them all, and any can be given up at any moment."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from emollm.errors import BackendError
from emollm.lazy import need

SILENT_S = 600.0  # how long the other side may say nothing
CONNECT_S = 10.0
STOP_S = 5.0

_LIVING: weakref.WeakSet[Line] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for line in list(_LIVING):
        line.stop()


class Line:
    """A client of one HTTP server, used from any thread.

    Args:
        url: Begins every address.
        key: Sent as a bearer token; empty for none.

    Raises:
        NeedsExtraError: If httpx is not installed.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._httpx = need("httpx", extra="serve")
        self.url = url
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Any = None
        _LIVING.add(self)

    def send(self, what: Coroutine[Any, Any, None]) -> None:
        """Have the line's thread carry a request."""
        asyncio.run_coroutine_threadsafe(what, self._running())

    def get(self, path: str, timeout_s: float = 30.0) -> tuple[int, bytes]:
        """Status and body of an address; waits for them.

        Raises:
            BackendError: If there is no answer.
        """

        async def ask() -> tuple[int, bytes]:
            answer = await self._client.get(self.url + path, timeout=timeout_s)
            return answer.status_code, answer.content

        done = asyncio.run_coroutine_threadsafe(ask(), self._running())
        try:
            return done.result(timeout_s + CONNECT_S)
        except (self._httpx.HTTPError, self._httpx.InvalidURL, TimeoutError) as error:
            done.cancel()
            raise self.silence(error) from error

    async def events(
        self, path: str, body: Mapping[str, Any], take: Callable[[str], bool], refuse: Callable[[int, bytes], Exception]
    ) -> None:
        """Post and hand on each event's data until `take` has had enough or the other side ends; to be run in the line's thread.

        Args:
            path: Appended to the line's address.
            body: Sent as JSON.
            take: Called with the data of each event; True ends the request.
            refuse: Makes an error of a status other than 200 and its body.

        Raises:
            BackendError: If the connection fails.
        """
        try:
            async with self._client.stream("POST", self.url + path, json=body) as answer:
                if answer.status_code != 200:
                    raise refuse(answer.status_code, await answer.aread())
                async for line in _lines(answer.aiter_bytes()):
                    if line.startswith(b"data:") and take(line[5:].decode().strip()):
                        return
        except self._httpx.HTTPError as error:
            raise self.silence(error) from error

    def silence(self, error: BaseException) -> BackendError:
        """What a connection that failed is told as."""
        return BackendError(
            f"no answer from vLLM at {self.url} ({str(error) or type(error).__name__}). Is it running?", code="backend_failed"
        )

    def stop(self) -> None:
        """End the thread; requests under way are given up."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None and loop.is_running():
            with suppress(RuntimeError):  # it may end at this moment
                loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                timeout = self._httpx.Timeout(SILENT_S, connect=CONNECT_S)
                limits = self._httpx.Limits(max_connections=None, max_keepalive_connections=16)
                # Neither proxies of the environment nor redirects: what is sent goes to the address that was checked and nowhere else.
                self._client = self._httpx.AsyncClient(
                    headers=self._headers, timeout=timeout, limits=limits, trust_env=False, follow_redirects=False
                )
                self._thread = threading.Thread(target=_run, args=(self._loop, self._client), name="emollm-line", daemon=True)
                self._thread.start()
            return self._loop


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Bytes to lines, by line feeds alone: text may hold letters that other readers take for ends of lines."""
    held = b""
    async for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            yield line
    yield held


def _run(loop: asyncio.AbstractEventLoop, client: Any) -> None:
    """The life of a line's thread."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()
