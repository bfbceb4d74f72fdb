"""How fast the engine writes, against transformers' own loop in the same run, and how often a rounded model agrees with the exact one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from emollm.engine.choose import Chosen, choose
from emollm.engine.core import Core
from emollm.engine.engine import Engine
from emollm.engine.peers import llama_cpp_way
from emollm.engine.settings import EngineSettings
from emollm.engine.torch_core import TorchCore
from emollm.values import Sampling

Way = Callable[[int, int], float]
"""Number of replies and tokens of each to seconds taken."""

STREAMS = 8
PROMPT = 271  # positions, about what a question with a clip has
TEXT = (
    "The person in the video looks tired at first, and then something changes: the corners of the mouth rise, the eyes narrow, and the "
    "voice becomes faster and higher. It is easy to see that good news has arrived. A friend would ask what happened, listen, and be glad. "
)


def decode_figures(causal: Any, tokenizer: Any, *, settings: EngineSettings | None = None, new: int = 48) -> dict[str, float]:
    """Tokens each second of one and of eight replies, and ratios; all engines run in turn, after a short warm-up.

    Args:
        causal: A merged language model, float32.
        tokenizer: Its tokenizer.
        settings: Of the engine.
        new: Tokens of each reply.
    """
    chosen = choose(causal, settings or EngineSettings())
    prompts = _prompts(causal, tokenizer)
    fast = f"engine_{chosen.core.name}_{chosen.core.precision}"
    ways: dict[str, Way] = {
        fast: _through_engine(chosen, causal, tokenizer, prompts),
        "torch_core_float32": _through_engine(Chosen(TorchCore(causal), ""), causal, tokenizer, prompts),
        "transformers_generate": lambda n, new: _by_transformers(causal, prompts[:n], new),
    }
    if (peer := llama_cpp_way(_prompt_ids(tokenizer), torch.get_num_threads())) is not None:
        ways["llama_cpp"] = peer
    rates = {}
    for way in ways.values():
        way(1, 4)
    for n in (1, STREAMS):
        for name, way in ways.items():
            first_s = way(n, 1)  # reading the prompts is timed apart and taken off
            rates[name, n] = n * (new - 1) / max(way(n, new) - first_s, 1e-6)
    figures = {f"{name}_{n}_tokens_per_s": rate for (name, n), rate in rates.items()}
    for n in (1, STREAMS):
        for other in list(ways)[1:]:
            figures[f"engine_against_{other}_{n}"] = rates[fast, n] / rates[other, n]
    figures["top_token_agreement"] = agreement(chosen.core, causal, tokenizer)
    return figures


def agreement(core: Core, causal: Any, tokenizer: Any, positions: int = 100) -> float:
    """Share of positions, in text that the exact model wrote, at which a core has the same likeliest token as that model."""
    prompt = _prompts(causal, tokenizer)[0]
    exact = TorchCore(causal)
    row = exact.open()
    logits = exact.forward([(row, prompt)])[0]
    text = []
    for _ in range(positions):
        text.append(int(logits.argmax()))
        logits = exact.forward([(row, exact.embed(text[-1:]))])[0]
    sequence = core.open()
    same, logits = 0, core.forward([(sequence, prompt)])[0]
    for token in text:
        same += int(logits.argmax()) == token
        logits = core.forward([(sequence, core.embed([token]))])[0]
    core.close(sequence)
    return same / positions


def _prompts(causal: Any, tokenizer: Any) -> list[Tensor]:
    """Eight prompts [L, D_llm] of different beginnings."""
    words = causal.get_input_embeddings()
    return [words(torch.tensor(ids)).detach() for ids in _prompt_ids(tokenizer)]


def _prompt_ids(tokenizer: Any) -> list[list[int]]:
    ids: list[int] = tokenizer(TEXT * 8)["input_ids"]
    return [ids[7 * i : 7 * i + PROMPT] for i in range(STREAMS)]


def _through_engine(chosen: Chosen, causal: Any, tokenizer: Any, prompts: Sequence[Tensor]) -> Way:
    engine = Engine(causal, tokenizer, -1, EngineSettings(prefixes=0), chosen=chosen)  # no token ends a reply: all do the same work

    def run(n: int, new: int) -> float:
        began = time.perf_counter()
        sampling = Sampling(max_new_tokens=new)
        streams = [engine.write(prompt, [(i, -1, "") for i in range(len(prompt))], sampling) for prompt in prompts[:n]]
        for stream in streams:
            for _ in stream:
                pass
        return time.perf_counter() - began

    return run


def _by_transformers(causal: Any, prompts: Sequence[Tensor], new: int) -> float:
    embeds = torch.stack(list(prompts))
    mask = torch.ones(embeds.shape[:2], dtype=torch.long)
    end_id = causal.config.eos_token_id
    began = time.perf_counter()
    causal.generate(inputs_embeds=embeds, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=end_id)
    return time.perf_counter() - began
