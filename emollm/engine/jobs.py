"""What the scheduler runs: a prompt that is read in chunks and then goes on, as a reply or as labels to be scored.

A job is used by the scheduler's thread alone, but for `Stream` and `Future`, through which others see it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emollm.engine.core import Core, Work
from emollm.engine.grammar import Matcher
from emollm.engine.prefixes import Owner
from emollm.engine.sampler import Leaning, Sampler, TokenChoice, choice_of
from emollm.engine.stream import End, Ended, Stream
from emollm.engine.text import Speech
from emollm.errors import BackendError
from emollm.values import Sampling

WAVE = 16  # labels that are scored side by side


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is read before anything is written."""

    embeds: Tensor  # [L, D_llm]
    owners: list[Owner]  # L
    due: float | None = None  # on the monotonic clock
    since: float = 0.0  # when it began to be put together, on the monotonic clock


class Job(ABC):
    """A prompt being read; what comes after is in `go_on` and `take`."""

    def __init__(self, prompt: Prompt, more: int) -> None:
        self.prompt = prompt
        self.need = len(prompt.owners) + more  # positions at most
        self.sequence: Any = None
        self.reused = 0
        self.keeps = True  # until someone asks to forget what the prompt shows
        self.done = False
        self.began = time.monotonic()

    @property
    def reading(self) -> bool:
        """Whether positions of the prompt are left."""
        return self.sequence is None or self.sequence.length < len(self.prompt.owners)

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the result."""
        return False

    def next(self, core: Core, budget: int) -> list[Work]:
        """What the coming step computes for this job."""
        if not self.reading:
            return self.go_on(core)
        at = self.sequence.length
        chunk = self.prompt.embeds[at : at + budget]
        return [(self.sequence, chunk)] if len(chunk) else []

    @abstractmethod
    def go_on(self, core: Core) -> list[Work]:
        """After the prompt."""

    @abstractmethod
    def take(self, core: Core, logits: Tensor) -> None:
        """Logits [n, V] of what `next` asked for, once the prompt is read."""

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.done = True

    def end_early(self) -> None:
        """End because nobody waits."""
        self.done = True

    def kept_owners(self) -> list[Owner]:
        """Owners of all positions of the sequence."""
        return self.prompt.owners[: self.sequence.length]

    def release(self, core: Core) -> None:
        """Give sequences back."""
        if self.sequence is not None:
            core.close(self.sequence)
            self.sequence = None


class Writing(Job):
    """A reply."""

    def __init__(
        self,
        prompt: Prompt,
        stream: Stream,
        sampling: Sampling,
        speech: Speech,
        end_id: int,
        matcher: Matcher | None,
        leanings: Sequence[Leaning] = (),
    ) -> None:
        super().__init__(prompt, sampling.max_new_tokens)
        self.stream = stream
        self._sampling = sampling
        self._speech = speech
        self._end_id = end_id
        self._matcher = matcher
        self._sampler = Sampler(sampling, leanings)
        self._written: list[int] = []
        self._choices: list[TokenChoice] = []
        self._first_s = 0.0

    @property
    def gone(self) -> bool:
        """See Job."""
        return self.stream.cancelled

    def go_on(self, core: Core) -> list[Work]:
        """See Job."""
        return [(self.sequence, core.embed(self._written[-1:]))]

    def take(self, core: Core, logits: Tensor) -> None:
        """See Job."""
        row = logits[0]
        if not bool(torch.isfinite(row).all()):
            raise BackendError("the language model gave no numbers at this place.", code="backend_failed")
        token = self._sampler.draw(row, self._written, None if self._matcher is None else self._matcher.allowed())
        self._first_s = self._first_s or time.monotonic() - self.began
        self._written.append(token)
        if self._sampling.logprobs:
            self._choices.append(choice_of(row, token, self._sampling.logprobs))
        if token == self._end_id:
            self._end("stop")
            return
        self.stream.put(self._speech.push(token))
        if self._matcher is not None:
            self._matcher.take(token)
        if self._speech.stopped or (self._matcher is not None and self._matcher.done):
            self._end("stop")
        elif len(self._written) >= self._sampling.max_new_tokens:
            self._end("length")

    def fail(self, error: BaseException) -> None:
        """See Job."""
        super().fail(error)
        self.stream.end(error)

    def end_early(self) -> None:
        """See Job."""
        self._end("cancelled")

    def kept_owners(self) -> list[Owner]:
        """See Job."""
        return [*self.prompt.owners, *((t, -1, "") for t in self._written)][: self.sequence.length]

    def _end(self, reason: End) -> None:
        self.done = True
        self.stream.put(self._speech.rest())
        if self._speech.stopped and reason == "length":
            reason = "stop"
        self.stream.end(Ended(reason, tuple(self._written), self.reused, self._first_s, tuple(self._choices)))


class Scoring(Job):
    """Labels [tokens] as answers to a prompt: the sum of the log-probabilities of each."""

    def __init__(self, prompt: Prompt, options: Sequence[Sequence[int]]) -> None:
        super().__init__(prompt, WAVE * (32 + max(len(o) for o in options)))
        self.future: Future[list[float]] = Future()
        self._options = options
        self._totals: list[float] = []
        self._left: list[int] = []
        self._branches: dict[int, Any] = {}  # option -> its sequence, in this wave
        self._kept: Any = None

    @property
    def gone(self) -> bool:
        """See Job."""
        return self.future.cancelled()

    def go_on(self, core: Core) -> list[Work]:
        """See Job."""
        if not self._branches:
            for i in self._left[:WAVE]:
                self._branches[i] = core.resume(self._kept, len(self.prompt.owners))
            self._left = self._left[WAVE:]
        start = len(self.prompt.owners)
        return [(branch, core.embed([self._options[i][branch.length - start]])) for i, branch in self._branches.items()]

    def take(self, core: Core, logits: Tensor) -> None:
        """See Job."""
        logprobs = logits.log_softmax(-1)
        if self._kept is None:
            self._kept = core.keep(self.sequence)
            self._totals = [float(logprobs[0, option[0]]) for option in self._options]
            self._left = [i for i, option in enumerate(self._options) if len(option) > 1]
        else:
            start = len(self.prompt.owners)
            for row, (i, branch) in zip(logprobs, list(self._branches.items()), strict=True):
                at = branch.length - start
                self._totals[i] += float(row[self._options[i][at]])
                if at == len(self._options[i]) - 1:
                    core.close(self._branches.pop(i))
        if not self._left and not self._branches:
            self.done = True
            self.future.set_result(self._totals)

    def fail(self, error: BaseException) -> None:
        """See Job."""
        super().fail(error)
        if not self.future.done():
            self.future.set_exception(error)

    def release(self, core: Core) -> None:
        """See Job."""
        for branch in self._branches.values():
            core.close(branch)
        self._branches = {}
        if self._kept is not None:
            core.close(self._kept)
            self._kept = None
        super().release(core)
