"""uvicorn with two habits more: a connection that never finishes a head is closed, and a signal to stop lets what runs end.

On the first signal the server is still reached, answers /ready with 503 and refuses new work, until nothing runs or the grace time is over;
the second ends it at once.
"""

from __future__ import annotations

import asyncio
import time
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from emollm.serving.limits import Limits
from emollm.serving.service import Service

LEAST_S = 1.0  # a stopping server can be asked at least so long, so that whoever balances load gets to know


class PatientProtocol(H11Protocol):
    """Gives a request's head `header_s` to arrive, on a new connection and on one that is used again."""

    header_s = Limits().header_s
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._waiting is None and self._between_requests():
            self._wait()
        super().data_received(data)
        if not self._between_requests():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.header_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._between_requests() and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """Runs an app of `build_server`.

    Args:
        app: The app.
        limits: The times of heads and of grace.
    """

    def __init__(self, app: FastAPI, limits: Limits) -> None:
        protocol = type("Protocol", (PatientProtocol,), {"header_s": limits.header_s})
        config = uvicorn.Config(
            app, access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=3, http=protocol, ws="none"
        )
        super().__init__(config)
        self._service: Service = app.state.service
        self._grace_s = limits.grace_s
        self._asked: float | None = None  # when to stop, on the monotonic clock

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop: the first lets work end, the second does not."""
        if self._asked is None and not self.should_exit:
            self.stop()
            return
        self.should_exit = self.force_exit = True

    def stop(self) -> None:
        """Take no new work, and end when nothing runs or the grace time is over; safe from any thread."""
        self._service.stopping = True
        self._asked = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Asked by uvicorn every tenth of a second whether to end."""
        if self._asked is not None and not self.should_exit:
            since = time.monotonic() - self._asked
            self.should_exit = since >= self._grace_s or (since >= LEAST_S and self._service.idle)
        return await super().on_tick(counter)
