"""One request's draws from logits, step for step as transformers' `generate` draws them, from a generator of its own.

The repetition penalty sees generated tokens only: a prompt of embeddings has no ids.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from emollm.values import Sampling


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A drawn token and the likeliest ones at its place, by the model's own probabilities before penalty and temperature."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # the likeliest first


class Leaning(Protocol):
    """Something that makes tokens likelier, or less likely, by what is written so far."""

    weight: float  # added to their logits

    def following(self, written: Sequence[int]) -> set[int]:
        """The tokens it is about."""


class Sampler:
    """Draws tokens of one reply."""

    def __init__(self, sampling: Sampling, leanings: Sequence[Leaning] = ()) -> None:
        self._sampling = sampling
        self._leanings = leanings
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
            seen = torch.tensor(sorted(set(written)))
            old = scores[seen]
            scores = scores.clone()
            scores[seen] = torch.where(old < 0, old * s.repetition_penalty, old / s.repetition_penalty)
        for leaning in self._leanings:
            if ids := sorted(leaning.following(written)):
                scores = scores.clone()
                scores[ids] += leaning.weight
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
