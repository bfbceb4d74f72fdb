"""The core for language models whose layers do not all look at the whole past: every sequence has a cache and a pass of its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from emollm.engine.core import Work
from emollm.engine.torch_core import TorchCore


@dataclass(eq=False, slots=True)
class Lone:
    """A sequence with its own cache."""

    cache: Any
    length: int = 0


class AloneCore:
    """Any causal language model of transformers, one sequence after another."""

    name = "torch"
    granule = 1
    crops = False  # what a window has dropped cannot be brought back

    def __init__(self, causal: Any) -> None:
        self._causal = causal
        self._words = causal.get_input_embeddings()
        self.precision = str(causal.dtype).removeprefix("torch.")
        config = causal.config
        self.position_bytes = 4 * config.num_hidden_layers * config.hidden_size * causal.dtype.itemsize  # an upper bound

    @torch.inference_mode()
    def embed(self, ids: Sequence[int]) -> Tensor:
        """See Core."""
        return self._words(torch.tensor(ids, device=self._words.weight.device))

    def open(self) -> Lone:
        """See Core."""
        return Lone(DynamicCache(config=self._causal.config))

    @torch.inference_mode()
    def forward(self, work: Sequence[Work]) -> Tensor:
        """See Core."""
        found = []
        for lone, embeds in work:
            out = self._causal(
                inputs_embeds=embeds[None].to(self._words.weight.device, self._causal.dtype),
                past_key_values=lone.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            lone.cache = out.past_key_values
            lone.length += len(embeds)
            found.append(out.logits[0, -1].float().cpu())
        return torch.stack(found)

    def keep(self, sequence: Lone) -> Lone:
        """See Core."""
        return Lone(copy.deepcopy(sequence.cache), sequence.length)

    def resume(self, kept: Lone, length: int) -> Lone:
        """See Core; only at the whole length."""
        assert length == kept.length, (length, kept.length)
        return self.keep(kept)

    def close(self, sequence: Lone) -> None:
        """See Core."""
        sequence.cache = None

    def reset(self) -> None:
        """See Core."""


def torch_core(causal: Any, dtype: torch.dtype | None = None) -> TorchCore | AloneCore:
    """The torch core that fits a model."""
    config = causal.config.get_text_config(decoder=True)
    whole = all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)
    usual = hasattr(causal, "model") and hasattr(causal, "lm_head") and hasattr(config, "num_attention_heads")
    return TorchCore(causal, dtype) if whole and usual else AloneCore(causal)
