"""A reply as OpenAI's JSON: whole, or chunk by chunk as server-sent events with comments while nothing is ready."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emollm.chat.backend import FinishReason
from emollm.serving.desk import Job, cancelled_when_gone
from emollm.serving.errors import as_api_error, error_object, log_fault
from emollm.serving.schema import AssistantMessage, ChatCompletion, Choice, Extension, UsageCounts
from emollm.values import Usage

KEEPALIVE = b": keepalive\n\n"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known when a reply has ended; the result of a chat job."""

    finish_reason: FinishReason | None
    usage: Usage | None
    extension: Extension

    @property
    def told_reason(self) -> Any:
        """In OpenAI's words."""
        return "length" if self.finish_reason == "length" else "stop"

    @property
    def counts(self) -> UsageCounts | None:
        """In OpenAI's form."""
        if self.usage is None:
            return None
        asked, written = self.usage.prompt_tokens, self.usage.completion_tokens
        return UsageCounts(prompt_tokens=asked, completion_tokens=written, total_tokens=asked + written)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all chunks of one completion share."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, outcome: Outcome) -> ChatCompletion:
        """The completion in one piece."""
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[Choice(message=AssistantMessage(content=text), finish_reason=outcome.told_reason)],
            usage=outcome.counts,
            emollm=outcome.extension,
        )

    def chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """One event."""
        event = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model, "choices": choices, **more}
        return _event(event)


class EventStream(Response):
    """Streams a chat job. Until the first piece, or the first silence, a fault is raised and gets its own status."""

    media_type = "text/event-stream"

    def __init__(self, job: Job, envelope: Envelope, *, include_usage: bool, headers: Mapping[str, str]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]
        self._job = job
        self._envelope = envelope
        self._usage = include_usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; a client that goes away frees its place."""
        async with cancelled_when_gone(receive, self._job), aclosing(self._job.pieces()) as pieces:
            first = await anext(pieces, "")
            if self._job.failure is not None:
                raise self._job.failure
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in self._events(first, pieces, scope["state"]["request_id"]):
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, first: str | None, pieces: AsyncIterator[str | None], request_id: str) -> AsyncIterator[bytes]:
        unknown: dict[str, Any] = {"usage": None} if self._usage else {}
        yield self._envelope.chunk([_choice({"role": "assistant", "content": ""})], **unknown)
        piece: str | None = first
        while True:
            if piece is None:
                yield KEEPALIVE
            elif piece:
                yield self._envelope.chunk([_choice({"content": piece})], **unknown)
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                break
        if self._job.failure is not None:
            told = as_api_error(self._job.failure)
            if told is not self._job.failure and told.status == 500:
                log_fault(request_id, self._job.failure)
            yield _event(error_object(told))
            return
        if self._job.cancelled:  # nobody reads this any more
            return
        outcome: Outcome = self._job.result
        yield self._envelope.chunk([_choice({}, outcome.told_reason)], emollm=outcome.extension.model_dump(), **unknown)
        if self._usage:
            counts = outcome.counts
            yield self._envelope.chunk([], usage=counts.model_dump() if counts else None)
        yield DONE


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"
