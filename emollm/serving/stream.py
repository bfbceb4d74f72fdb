"""Replies as OpenAI's JSON: whole, or chunk by chunk as server-sent events with comments while nothing is ready."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emollm.chat.backend import FinishReason
from emollm.serving.answers import (
    AssistantMessage,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    Extension,
    TokenLogprob,
    TopLogprob,
    UsageCounts,
)
from emollm.serving.desk import Job, cancelled_when_gone
from emollm.serving.errors import as_api_error, error_object, log_fault
from emollm.values import Usage

KEEPALIVE = b": keepalive\n\n"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of one choice."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How one choice ended."""

    reason: FinishReason | None
    usage: Usage | None
    logprobs: ChoiceLogprobs | None

    @property
    def told_reason(self) -> Any:
        """In OpenAI's words."""
        return "length" if self.reason == "length" else "stop"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known when all choices have ended; the result of a chat job."""

    endings: tuple[Ending, ...]
    extension: Extension

    @property
    def counts(self) -> UsageCounts | None:
        """In OpenAI's form: the prompt once, all that was written."""
        usages = [ending.usage for ending in self.endings if ending.usage is not None]
        if not usages:
            return None
        asked, written = usages[0].prompt_tokens, sum(usage.completion_tokens for usage in usages)
        return UsageCounts(prompt_tokens=asked, completion_tokens=written, total_tokens=asked + written)


def logprobs_of(rows: Sequence[Mapping[str, Any]], top: int) -> ChoiceLogprobs:
    """A reply's log-probabilities in OpenAI's form, with `top` of the likeliest tokens at each place."""
    content = [
        TokenLogprob(
            token=row["token"],
            logprob=row["logprob"],
            bytes=row.get("bytes"),
            top_logprobs=[
                TopLogprob(token=text, logprob=value, bytes=raw) for (text, value), raw in zip(row["top"][:top], _raw(row), strict=False)
            ],
        )
        for row in rows
    ]
    return ChoiceLogprobs(content=content)


def _raw(row: Mapping[str, Any]) -> Sequence[list[int] | None]:
    found: Sequence[list[int] | None] = row.get("top_bytes") or [None] * len(row["top"])
    return found


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all chunks of one completion share."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, pieces: Sequence[Piece], outcome: Outcome) -> ChatCompletion:
        """The completion in one piece."""
        texts = ["".join(p.text for p in pieces if p.index == i) for i in range(len(outcome.endings))]
        choices = [
            Choice(index=i, message=AssistantMessage(content=text), logprobs=ending.logprobs, finish_reason=ending.told_reason)
            for i, (text, ending) in enumerate(zip(texts, outcome.endings, strict=True))
        ]
        return ChatCompletion(
            id=self.id, created=self.created, model=self.model, choices=choices, usage=outcome.counts, emollm=outcome.extension
        )

    def chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """One event."""
        event = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model, "choices": choices, **more}
        return _event(event)


class EventStream(Response):
    """Streams a chat job. Until the first piece, or the first silence, a fault is raised and gets its own status."""

    media_type = "text/event-stream"

    def __init__(self, job: Job, envelope: Envelope, *, choices: int, include_usage: bool, headers: Mapping[str, str]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]
        self._job = job
        self._envelope = envelope
        self._choices = choices
        self._usage = include_usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; a client that goes away frees its place."""
        async with cancelled_when_gone(receive, self._job), aclosing(self._job.pieces()) as pieces:
            first = await anext(pieces, _NOTHING)
            if self._job.failure is not None:
                raise self._job.failure
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in self._events(first, pieces, scope["state"]["request_id"]):
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, first: Piece | None, pieces: AsyncIterator[Piece | None], request_id: str) -> AsyncIterator[bytes]:
        unknown: dict[str, Any] = {"usage": None} if self._usage else {}
        for index in range(self._choices):
            yield self._envelope.chunk([_choice(index, {"role": "assistant", "content": ""})], **unknown)
        piece: Piece | None = first
        while True:
            if piece is None:
                yield KEEPALIVE
            elif piece.text:
                yield self._envelope.chunk([_choice(piece.index, {"content": piece.text})], **unknown)
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
        async for event in self._closing(self._job.result, unknown):
            yield event

    async def _closing(self, outcome: Outcome, unknown: dict[str, Any]) -> AsyncIterator[bytes]:
        """How each choice ended, the extension with the last of them, and the usage if it was asked for."""
        for index, ending in enumerate(outcome.endings):
            last = index == len(outcome.endings) - 1
            more = {"emollm": outcome.extension.model_dump()} if last else {}
            logprobs = ending.logprobs.model_dump() if ending.logprobs is not None else None
            yield self._envelope.chunk([_choice(index, {}, ending.told_reason, logprobs)], **more, **unknown)
        if self._usage:
            counts = outcome.counts
            yield self._envelope.chunk([], usage=counts.model_dump() if counts else None)
        yield DONE


_NOTHING = Piece(0, "")


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None = None, logprobs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"
