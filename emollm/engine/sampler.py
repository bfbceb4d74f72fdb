"""One request's draws from logits, step for step as transformers' `generate` draws them, from a generator of its own.

The repetition penalty sees generated tokens only: a prompt of embeddings has no ids.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emollm.engine.again import Again
from emollm.values import Sampling


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A drawn token and the likeliest ones at its place, by the model's own probabilities before penalty and temperature."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # the likeliest first


class Sampler:
    """Draws tokens of one reply, which had better not repeat sentences of `again`."""

    def __init__(self, sampling: Sampling, again: Again | None = None) -> None:
        self._sampling = sampling
        self._again = again
        seed = sampling.seed if sampling.seed is not None else random.SystemRandom().getrandbits(63)
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, logits: Tensor, written: Sequence[int], allowed: Tensor | None = None) -> int:
        """The next token.

        Args:
            logits: [V] float32.
            written: Tokens drawn so far.
            allowed: [V] bool; None allows all.
        """
        s = self._sampling
        scores = logits
        if s.repetition_penalty != 1 and written:
            ids = torch.tensor(sorted(set(written)))
            old = scores[ids]
            scores = scores.clone()
            scores[ids] = torch.where(old < 0, old * s.repetition_penalty, old / s.repetition_penalty)
        if self._again is not None and s.sentence_penalty != 1 and (said := self._again.following(written)):
            scores = scores.clone()
            scores[sorted(said)] -= math.log(s.sentence_penalty)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))
        if s.temperature <= 0:
            return int(scores.argmax())
        scores = scores / s.temperature
        if s.top_p < 1:
            ascending, order = scores.sort(descending=False)
            drop = ascending.softmax(-1).cumsum(-1) <= 1 - s.top_p
            drop[-1] = False  # the likeliest always stays
            scores = scores.masked_fill(torch.zeros_like(drop).scatter(0, order, drop), float("-inf"))
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._generator))


def choice_of(logits: Tensor, token: int, count: int) -> TokenChoice:
    """What is told of a drawn token, with the `count` likeliest."""
    logprobs = logits.log_softmax(-1)
    values, ids = logprobs.topk(min(count, len(logits)))
    return TokenChoice(token, float(logprobs[token]), tuple(zip(ids.tolist(), values.tolist(), strict=True)))
