"""How fast a stage learns, against the same model in a plain loop: float32, batches as they come, logits of every position."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from emollm.data.collate import Batches, Collate, pad_prompts
from emollm.data.conversation import IGNORE, PromptBuilder
from emollm.data.tasks import Sample
from emollm.data.texts import say
from emollm.data.written import written
from emollm.model.emotion_model import EmotionModel
from emollm.model.groups import train_only

TRAINED = ("llm.*lora*",)
ROWS = 12  # of a batch of the plain loop
BATCH_TOKENS = 2048


def training_figures(model: EmotionModel, prompts: PromptBuilder, *, steps: int = 4, seed: int = 0) -> dict[str, float]:
    """Tokens (padding not counted) each second of both loops over the same conversations, and their ratio.

    Args:
        model: Changed in place.
        prompts: Of the same system.
        steps: Timed, after one that is not.
        seed: Of the conversations and their order.
    """
    samples = _samples(steps, seed)
    train_only(model, TRAINED)
    model.train()
    ours = _timed(model, _our_steps(model, prompts, samples, seed), steps)
    plain = _timed(model, _plain_steps(model, prompts, samples, seed), steps)
    return {"training_tokens_per_s": ours, "plain_loop_tokens_per_s": plain, "training_against_plain_loop": ours / plain}


def _samples(steps: int, seed: int) -> list[Sample]:
    """Short and long conversations without a clip, some more than the steps need."""
    rng = random.Random(seed)
    count = (steps + 1) * 40
    return [*written(count // 2, rng), *(say(rng) for _ in range(count // 2))]


Step = tuple[Callable[[], Any], int]
"""Makes the loss, and how many tokens it reads."""


def _our_steps(model: EmotionModel, prompts: PromptBuilder, samples: Sequence[Sample], seed: int) -> list[Step]:
    batches = Batches(samples, prompts, batch_tokens=BATCH_TOKENS, seed=seed)
    collate = Collate(batches, model.streams, model.recipe.widths(model.config.scale), prompts.end_id)

    def step(batch: list[int]) -> Step:
        inputs = collate([batch])

        def loss() -> Any:
            model.causal.set_attn_implementation("eager")
            with torch.autocast("cpu", torch.bfloat16):
                return model(**inputs).loss

        return loss, int(inputs["attention_mask"].sum())

    return [step(batches[i]) for i in range(len(batches))]


def _plain_steps(model: EmotionModel, prompts: PromptBuilder, samples: Sequence[Sample], seed: int) -> list[Step]:
    encoded = [prompts.build(s.turns, answer=False) for s in samples]
    random.Random(seed).shuffle(encoded)

    def step(rows: Sequence[Any]) -> Step:
        padded = pad_prompts(rows, prompts.end_id)

        def loss() -> Any:
            model.causal.set_attn_implementation("sdpa")
            logits = model.causal(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
            wanted = padded["labels"][:, 1:]
            return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), wanted.flatten(), ignore_index=IGNORE)

        return loss, int(padded["attention_mask"].sum())

    return [step(encoded[i : i + ROWS]) for i in range(0, len(encoded) - ROWS + 1, ROWS)]


def _timed(model: EmotionModel, made: Sequence[Step], steps: int) -> float:
    """Tokens each second of some steps, forward, backward and the optimiser's."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    began, read = 0.0, 0
    for number, (loss, tokens) in enumerate(made[: steps + 1]):
        if number == 1:
            began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
        read += tokens if number else 0
    return read / max(time.perf_counter() - began, 1e-6)
