"""The core that runs everywhere: a transformers language model over rows of shared cache buffers.

Running sequences are rows 0 to n of the buffers, so that a step is one pass over views, with nothing copied; when one leaves, the last row
takes its place. Rows have different lengths: each position sees its own row's past by an explicit mask.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from emollm.engine.core import Work

FIRST_POSITIONS = 256


@dataclass(eq=False, slots=True)
class Row:
    """A running sequence: where it lies and how long it is."""

    place: int
    length: int = 0


@dataclass(eq=False, slots=True)
class KeptRow:
    """A copy of a sequence outside of the buffers."""

    length: int
    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # keys and values [KV, N, D_head]


class TorchCore:
    """A causal language model of transformers whose layers all look at the whole past."""

    name = "torch"
    granule = 1
    crops = True

    def __init__(self, causal: Any, dtype: torch.dtype | None = None) -> None:
        self._causal = causal if dtype in (None, causal.dtype) else copy.deepcopy(causal).to(dtype)
        self.precision = str(self._causal.dtype).removeprefix("torch.")
        self._words = causal.get_input_embeddings()
        self._rows: list[Row] = []
        self._cache = _Rows()
        config = self._causal.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        groups = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.position_bytes = 2 * config.num_hidden_layers * groups * head * self._causal.dtype.itemsize

    @torch.inference_mode()
    def embed(self, ids: Sequence[int]) -> Tensor:
        """See Core."""
        return self._words(torch.tensor(ids, device=self._words.weight.device))

    def open(self) -> Row:
        """See Core."""
        row = Row(len(self._rows))
        self._rows.append(row)
        return row

    @torch.inference_mode()
    def forward(self, work: Sequence[Work]) -> Tensor:
        """See Core. Sequences that grow by one position share a pass; every longer one has a pass of its own."""
        found: list[Tensor | None] = [None] * len(work)
        single = [i for i, (_, embeds) in enumerate(work) if len(embeds) == 1]
        for i, (row, embeds) in enumerate(work):
            if i not in single:
                found[i] = self._read(row, embeds)
        if single:
            logits = self._step([work[i] for i in single])
            for i, one in zip(single, logits, strict=True):
                found[i] = one
        return torch.stack([f for f in found if f is not None])

    @torch.inference_mode()
    def keep(self, sequence: Row) -> KeptRow:
        """See Core."""
        at, n = sequence.place, sequence.length
        return KeptRow(n, [(k[at, :, :n].clone(), v[at, :, :n].clone()) for k, v in self._cache.layers_held()])

    @torch.inference_mode()
    def resume(self, kept: KeptRow, length: int) -> Row:
        """See Core."""
        row = self.open()
        self._cache.reserve(len(self._rows), length, self._rows)
        for (k, v), (old_k, old_v) in zip(self._cache.layers_held(), kept.layers, strict=True):
            k[row.place, :, :length] = old_k[:, :length]
            v[row.place, :, :length] = old_v[:, :length]
        row.length = length
        return row

    @torch.inference_mode()
    def close(self, sequence: Row | KeptRow) -> None:
        """See Core."""
        if isinstance(sequence, KeptRow):
            sequence.layers = []
            return
        if sequence not in self._rows:  # forgotten by a reset
            return
        last = self._rows.pop()
        if last is not sequence:
            for k, v in self._cache.layers_held():
                k[sequence.place, :, : last.length] = k[last.place, :, : last.length]
                v[sequence.place, :, : last.length] = v[last.place, :, : last.length]
            last.place = sequence.place
            self._rows[last.place] = last
        if not self._rows:
            self._cache.shrink()

    def reset(self) -> None:
        """See Core."""
        self._rows.clear()
        self._cache = _Rows()

    def _read(self, row: Row, embeds: Tensor) -> Tensor:
        """Grow one row by [T, D_llm]; logits [V]."""
        new = len(embeds)
        seen = row.length + new
        at = torch.arange(row.length, seen)
        mask = torch.arange(seen)[None, :] <= at[:, None]  # [T, P + T]
        self._cache.reserve(len(self._rows), seen, self._rows)
        self._cache.aim(slice(row.place, row.place + 1), at, seen)
        logits = self._run(embeds[None], mask[None, None], at[None])[0]
        row.length = seen
        return logits

    def _step(self, work: Sequence[Work]) -> Tensor:
        """Grow several rows by one position each; logits [n, V]. A row between them that rests writes what it overwrites later."""
        height = max(row.place for row, _ in work) + 1
        lengths = torch.tensor([row.length for row in self._rows[:height]])
        seen = int(lengths.max()) + 1
        first = work[0][1]
        embeds = first.new_zeros(height, 1, first.shape[-1])
        for row, new in work:
            embeds[row.place] = new
        mask = torch.arange(seen)[None, :] <= lengths[:, None]  # [rows, N]
        self._cache.reserve(len(self._rows), seen, self._rows)
        self._cache.aim(slice(0, height), lengths, seen)
        logits = self._run(embeds, mask[:, None, None], lengths[:, None])
        for row, _ in work:
            row.length += 1
        return logits[[row.place for row, _ in work]]

    def _run(self, embeds: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        at, kind = self._words.weight.device, self._causal.dtype
        bias = torch.zeros(mask.shape, dtype=kind).masked_fill(~mask, torch.finfo(kind).min).to(at)
        out = self._causal.model(
            inputs_embeds=embeds.to(at, kind),
            attention_mask=bias,
            position_ids=positions.to(at),
            past_key_values=self._cache,
            use_cache=True,
        )
        return self._causal.lm_head(out.last_hidden_state[:, -1]).float().cpu()


class _Rows(Cache):
    """The buffers [rows, KV, positions, D_head] of every layer, in the form that transformers' attention asks."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._held: dict[int, tuple[Tensor, Tensor]] = {}
        self._rows = slice(0, 0)
        self._at = torch.zeros(0, dtype=torch.long)
        self._seen = 0
        self._size = (1, FIRST_POSITIONS)

    def layers_held(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each layer, in order."""
        return [self._held[i] for i in sorted(self._held)]

    def aim(self, rows: slice, at: Tensor, seen: int) -> None:
        """Say where the next pass writes: one row at several positions, or several rows at one position each."""
        self._rows, self._at, self._seen = rows, at, seen

    def reserve(self, rows: int, positions: int, used: Sequence[Row]) -> None:
        """Make room, keeping what is there."""
        wanted = (_doubled(self._size[0], rows), _doubled(self._size[1], positions))
        if wanted == self._size:
            return
        self._size = wanted
        for i, pair in self._held.items():
            self._held[i] = (_grown(pair[0], wanted, used), _grown(pair[1], wanted, used))

    def shrink(self) -> None:
        """Let large buffers go when nobody uses them."""
        if self._size[1] > 8 * FIRST_POSITIONS:
            for i, (k, v) in self._held.items():
                self._held[i] = (_grown(k, (1, FIRST_POSITIONS), ()), _grown(v, (1, FIRST_POSITIONS), ()))
            self._size = (1, FIRST_POSITIONS)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the new positions [rows, KV, T, D_head] of a layer; returns all that its rows hold."""
        if layer_idx not in self._held:
            shape = (self._size[0], key_states.shape[1], self._size[1])
            # Zeros, not what the memory happened to hold: a masked NaN would still spoil a sum.
            self._held[layer_idx] = (
                key_states.new_zeros(*shape, key_states.shape[3]),
                value_states.new_zeros(*shape, value_states.shape[3]),
            )
        keys, values = self._held[layer_idx]
        at = self._at.to(keys.device)
        if key_states.shape[2] > 1:
            first, last = int(self._at[0]), int(self._at[-1]) + 1
            keys[self._rows, :, first:last] = key_states
            values[self._rows, :, first:last] = value_states
        else:
            rows = torch.arange(self._rows.start, self._rows.stop, device=keys.device)
            keys[rows, :, at] = key_states[:, :, 0]
            values[rows, :, at] = value_states[:, :, 0]
        return keys[self._rows, :, : self._seen], values[self._rows, :, : self._seen]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Unused by a pass with positions and mask of its own."""
        return int(self._at[0]) if len(self._at) else 0


def _doubled(have: int, need: int) -> int:
    while have < need:
        have *= 2
    return have


def _grown(old: Tensor, size: tuple[int, int], used: Sequence[Row]) -> Tensor:
    new = old.new_zeros(size[0], old.shape[1], size[1], old.shape[3])
    for row in used:
        if row.place < len(old):
            new[row.place, :, : row.length] = old[row.place, :, : row.length]
    return new
