"""The language model alone, LoRA merged, as a plain checkpoint that any server of language models loads.

What sees and hears stays with us; a server of the checkpoint is fed with embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emollm.errors import CheckpointError
from emollm.model.emotion_model import EmotionModel
from emollm.quiet import quiet_transformers

NOTE = "emollm.json"  # which system, scale and weights a checkpoint was made of


@quiet_transformers()
def export_language_model(
    model: EmotionModel, tokenizer: Any, end_id: int, folder: Path, note: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write weights, config, tokenizer and the token that ends a reply; the model's LoRA is merged by this.

    Args:
        model: Of any system.
        tokenizer: Its tokenizer.
        end_id: The token that ends a reply.
        folder: New, empty, or an export of before, which is written over.
        note: Written beside the checkpoint, to tell later what it is.
        dtype: Of the written weights; anything but float32 rounds what was merged.

    Raises:
        CheckpointError: If the folder holds something else or cannot be written, or the model is quantised.
    """
    if getattr(model.causal, "is_quantized", False):
        raise CheckpointError("a language model held in 4 or 8 bits cannot be exported: its LoRA would be rounded away. Load it in full.")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / NOTE).is_file())):
        raise CheckpointError(f"{folder} is not empty and is no export of before (it has no {NOTE}). Give a new folder.")
    model.merge()
    causal = model.causal
    made: dict[int, torch.Tensor] = {}
    kept = {k: made.setdefault(v.data_ptr(), v.to(dtype)) for k, v in causal.state_dict().items()}  # what is tied stays tied
    config, general = causal.config, causal.generation_config
    before = (config.dtype, config.eos_token_id, config.pad_token_id, general.eos_token_id, general.pad_token_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.dtype, config.eos_token_id, config.pad_token_id = dtype, end_id, end_id
        general.eos_token_id, general.pad_token_id = end_id, end_id
        causal.save_pretrained(folder, state_dict=kept)
        config.dtype = dtype  # which was set to the held weights' meanwhile
        config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / NOTE).write_text(json.dumps(dict(note), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        config.dtype, config.eos_token_id, config.pad_token_id = before[:3]
        general.eos_token_id, general.pad_token_id = before[3:]
