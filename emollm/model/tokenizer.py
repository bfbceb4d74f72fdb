"""The tokenizer of a language model: the packaged one, or one of single bytes for the toy scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_tokenizer(folder: Path | None) -> Any:
    """From a model folder, or byte by byte with the chat control tokens when there is none."""
    if folder is not None:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder)
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {t: i for i, t in enumerate([*control, *letters])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, additional_special_tokens=control[1:], eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
