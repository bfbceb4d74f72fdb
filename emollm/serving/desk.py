"""A bounded queue before a few worker threads: blocking work with its results readable from the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.types import Receive

from emollm.serving.errors import RETRY_AFTER_S, ApiError
from emollm.serving.limits import Limits

_END = object()


class Job:
    """One piece of work: `emit` and `on_cancel` are called by the worker, all else by the event loop.

    Attributes:
        result: What the work returned.
        failure: Why it ended early, or None.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.result: Any = None
        self.failure: BaseException | None = None
        self._loop = loop
        self._tick_s = limits.keepalive_s
        self._answer_s = limits.answer_s
        self._due = loop.time() + limits.answer_s
        self._pieces: asyncio.Queue[Any] = asyncio.Queue()
        self._cancelled = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._future: Future[Any] | None = None

    def emit(self, piece: Any) -> None:
        """Hand a piece to the reader."""
        self._put(piece)

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the client goes away; at once if it already has."""
        self._stop = stop
        if self.cancelled:
            stop()

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the result."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Leave the queue, or ask the worker to stop at its next piece."""
        self._cancelled.set()
        if self._future is not None:
            self._future.cancel()
        if self._stop is not None:
            self._stop()

    async def pieces(self) -> AsyncGenerator[Any, None]:
        """Pieces as they come, and None whenever it was silent for a while; `result` or `failure` is set at the end."""
        while True:
            left_s = self._due - self._loop.time()
            if left_s <= 0:
                self.cancel()
                self.failure = ApiError(
                    504, f"no complete answer within {self._answer_s:.0f} s. Try a shorter clip.", code="deadline_exceeded"
                )
                return
            try:
                piece = await asyncio.wait_for(self._pieces.get(), min(left_s, self._tick_s))
            except TimeoutError:
                yield None
                continue
            if piece is _END:
                return
            yield piece

    def _start(self, future: Future[Any]) -> None:
        self._future = future
        future.add_done_callback(self._end)

    def _end(self, future: Future[Any]) -> None:
        if future.cancelled():
            self.failure = ApiError(499, "the client went away.", code="client_closed")
        elif (failure := future.exception()) is not None:
            self.failure = failure
        else:
            self.result = future.result()
        self._put(_END)

    def _put(self, piece: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server is stopping
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)


class Desk:
    """Takes work in order of arrival, `limits.parallel` at a time, and refuses it when `limits.queue` requests wait already."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.parallel, thread_name_prefix="emollm-desk")
        self._inside = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[Job], Any]) -> Job:
        """Queue work; called in the event loop.

        Raises:
            ApiError: 429 if the queue is full.
        """
        with self._lock:
            if self._inside >= self._limits.parallel + self._limits.queue:
                raise ApiError(
                    429,
                    f"{self._limits.parallel} requests are being answered and {self._limits.queue} are waiting. Try again in a moment.",
                    code="server_busy",
                    headers={"retry-after": str(RETRY_AFTER_S)},
                )
            self._inside += 1
        job = Job(asyncio.get_running_loop(), self._limits)
        future = self._pool.submit(work, job)
        future.add_done_callback(self._leave)
        job._start(future)
        return job

    @property
    def load(self) -> tuple[int, int]:
        """How many requests are worked on and how many wait."""
        with self._lock:
            running = min(self._inside, self._limits.parallel)
            return running, self._inside - running

    def close(self) -> None:
        """Refuse what waits, let what runs end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            self._inside -= 1


@asynccontextmanager
async def cancelled_when_gone(receive: Receive, job: Job) -> AsyncIterator[None]:
    """While inside, a client that closes its connection cancels the job; leaving cancels what is unfinished."""

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        job.cancel()

    listener = asyncio.create_task(listen())
    try:
        yield
    finally:
        listener.cancel()
        job.cancel()
