"""Samples to batches: prompts padded together by length, features padded by stream."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from emollm.data.conversation import IGNORE, Encoded, PromptBuilder
from emollm.data.tasks import Sample
from emollm.model.splice import TEXT

LONGEST = 640  # positions; longer samples are dropped


def pad_features(rows: Sequence[Any], streams: Sequence[str], widths: dict[str, int]) -> dict[str, tuple[Tensor, Tensor]]:
    """Rows of stream -> [N, D_enc] to stream -> ([B, N, D_enc], mask [B, N]); a stream no row has is left out."""
    out = {}
    for name in streams:
        most = max((len(r[name]) for r in rows if name in r), default=0)
        if not most:
            continue
        tokens = torch.zeros(len(rows), most, widths[name])
        mask = torch.zeros(len(rows), most, dtype=torch.bool)
        for i, row in enumerate(rows):
            if name in row:
                tokens[i, : len(row[name])] = row[name].float()
                mask[i, : len(row[name])] = True
        out[name] = (tokens, mask)
    return out


def pad_prompts(prompts: Sequence[Encoded], pad_id: int, *, left: bool = False) -> dict[str, Tensor]:
    """Prompts to [B, L] tensors, padded on the right for training and on the left for generation."""
    longest = max(len(p.input_ids) for p in prompts)

    def grid(name: str, fill: int) -> Tensor:
        rows = []
        for p in prompts:
            values = getattr(p, name)
            gap = [fill] * (longest - len(values))
            rows.append(gap + values if left else values + gap)
        return torch.tensor(rows)

    lengths = torch.tensor([len(p.input_ids) for p in prompts])
    at = torch.arange(longest)
    mask = at >= longest - lengths[:, None] if left else at < lengths[:, None]
    return {
        "input_ids": grid("input_ids", pad_id),
        "slots": grid("slots", TEXT),
        "labels": grid("labels", IGNORE),
        "attention_mask": mask.long(),
    }


def pad_guides(prompts: Sequence[Encoded], pad_id: int) -> tuple[Tensor, Tensor]:
    """Questions to ids [B, Q] and mask [B, Q]; Q is at least 1."""
    longest = max(1, *(len(p.guide) for p in prompts))
    lengths = torch.tensor([len(p.guide) for p in prompts])
    ids = torch.tensor([p.guide + [pad_id] * (longest - len(p.guide)) for p in prompts])
    return ids, torch.arange(longest) < lengths[:, None]


class Batches(torch.utils.data.Dataset[list[int]]):
    """Which samples go together: alike in length, about `batch_tokens` positions a batch, the order shuffled by seed."""

    def __init__(self, samples: Sequence[Sample], prompts: PromptBuilder, *, batch_tokens: int, seed: int, longest: int = LONGEST) -> None:
        encoded = [(s, prompts.build(s.turns, answer=False)) for s in samples]
        self.worse = {id(s): prompts.build([*s.turns[:-1], replace(s.turns[-1], text=s.worse)], answer=False) for s in samples if s.worse}
        # Answers are told apart by their first tokens; two that begin alike share their probability.
        self.first_ids = {name: prompts.text(name)[0] for s in samples for name in s.shares}
        self.kept = [(s, e) for s, e in encoded if len(e.input_ids) <= longest]
        rng = random.Random(seed)
        order = sorted(range(len(self.kept)), key=lambda i: len(self.kept[i][1].input_ids) + rng.uniform(0, 8))
        self._batches = list(
            _fill(order, [len(e.input_ids) for _, e in self.kept], [2 if s.worse else 1 for s, _ in self.kept], batch_tokens)
        )
        rng.shuffle(self._batches)
        self.tokens = sum(len(e.input_ids) * (2 if s.worse else 1) for s, e in self.kept)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> list[int]:
        return self._batches[index]


def _fill(order: Sequence[int], lengths: Sequence[int], rows: Sequence[int], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    filled = 0
    for i in order:  # ascending, so that the newest is the longest
        if batch and (filled + rows[i]) * lengths[i] > budget:
            yield batch
            batch, filled = [], 0
        batch.append(i)
        filled += rows[i]
    if batch:
        yield batch


class Collate:
    """A list of one batch of indices to model inputs."""

    def __init__(self, batches: Batches, streams: Sequence[str], widths: dict[str, int], pad_id: int) -> None:
        self._kept, self._streams, self._widths, self._pad_id = batches.kept, streams, widths, pad_id
        self._first_ids, self._worse = batches.first_ids, batches.worse

    def __call__(self, rows: list[list[int]]) -> dict[str, Any]:
        """Inputs of `EmotionModel.forward`; the worse answers of pairs are rows at the end."""
        chosen = [self._kept[i] for row in rows for i in row]
        pairs = [place for place, (s, _) in enumerate(chosen) if s.worse]
        chosen += [(chosen[place][0], self._worse[id(chosen[place][0])]) for place in pairs]
        features = pad_features([s.features for s, _ in chosen], self._streams, self._widths)
        prompts = [e for _, e in chosen]
        shares = self._shares([s for s, _ in chosen])
        tasks = [s.task for s, _ in chosen]
        return {
            **pad_prompts(prompts, self._pad_id),
            **shares,
            **({"better": torch.tensor(pairs)} if pairs else {}),
            "features": features,
            "guide": pad_guides(prompts, self._pad_id),
            "tasks": tasks[: len(tasks) - len(pairs)],
        }

    def _shares(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Wanted probabilities of first answer tokens: ids and shares, both [B, M]; rows of zeros want nothing; may be empty."""
        most = max((len(s.shares) for s in samples), default=0)
        if not most:
            return {}
        ids, shares = torch.zeros(len(samples), most, dtype=torch.long), torch.zeros(len(samples), most)
        for row, sample in enumerate(samples):
            for k, (name, share) in enumerate(sample.shares.items()):
                ids[row, k], shares[row, k] = self._first_ids[name], share
        return {"answer_ids": ids, "answer_shares": shares}
