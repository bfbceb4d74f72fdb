"""An agent's question to an OpenAI-compatible endpoint, asked again a bounded number of times, and what the answer cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emollm.chat.backend import Reply
from emollm.errors import BackendError, EmollmError
from emollm.values import Message, Sampling

_FINAL = ("model_not_found", "invalid_api_key", "invalid_request", "context_length_exceeded")  # asking again would not help


class Chatty(Protocol):
    """What answers: a `RemoteBackend`, or anything like it."""

    @property
    def system(self) -> str:
        """Name or model id."""
        ...

    @property
    def version(self) -> str:
        """Identity of the weights, where the endpoint tells."""
        ...

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Answer the last message."""
        ...


@dataclass(frozen=True, slots=True)
class Prices:
    """Cost of a million tokens, in any one currency; None where it is not known."""

    prompt: float | None = None
    completion: float | None = None

    def of(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """Cost of one reply; None where a price or a count is missing."""
        if self.prompt is None or self.completion is None or prompt_tokens is None or completion_tokens is None:
            return None
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    tries: int
    error: str = ""
    cut: bool = False  # the reply was longer than allowed


def question(
    backend: Chatty, system: str, text: str, *, tokens: int, retries: int = 2, clips: tuple[Path, ...] = (),
    wait: Callable[[float], None] = time.sleep,
) -> Answer:  # fmt: skip
    """Ask, at temperature 0.

    Args:
        backend: What answers.
        system: System message.
        text: User message.
        tokens: Most tokens of the answer.
        retries: How often to ask again after a failure that may pass; pauses of 1, 2, 4, ... seconds lie between.
        clips: Clips sent along.
        wait: How to pause.

    Returns:
        The answer, or the last error with how often was tried.
    """
    start = time.perf_counter()
    for attempt in range(1, retries + 2):
        try:
            reply = backend.reply([Message("system", system), Message("user", text, clips)], Sampling(max_new_tokens=tokens))
            said = reply.text().strip()
            if not said:
                raise BackendError("the endpoint answered with nothing.")
        except (EmollmError, KeyError, TypeError, ValueError) as error:  # the last three: an event of a form no endpoint should send
            passing = isinstance(error, BackendError) and error.code not in _FINAL
            if attempt > retries or not passing:
                return Answer("", None, None, time.perf_counter() - start, attempt, str(error) or repr(error))
            wait(2.0 ** (attempt - 1))
            continue
        usage = reply.usage
        sent, got = (usage.prompt_tokens, usage.completion_tokens) if usage is not None else (None, None)
        return Answer(said, sent, got, time.perf_counter() - start, attempt, cut=reply.finish_reason == "length")
    raise AssertionError("the loop returns")
