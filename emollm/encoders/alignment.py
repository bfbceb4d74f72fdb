"""When each word was said: where the decoder of Whisper looked while it wrote the word.

Some heads of the cross-attention follow the sound in time (the model's own list of `alignment_heads`); a path through their attention that
never goes back gives each token its time. The method is that of openai-whisper's `timing.py`; the code is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emollm.values import Floats

FRAMES_HZ = 50.0
_MEDIAN = 7  # frames


@contextmanager
def watched(decoder: Any, heads: Sequence[tuple[int, int]]) -> Iterator[list[Tensor]]:
    """While open, every pass through `decoder` leaves the attention of `heads` (layer, head) in the list, each [L, N]."""
    seen: list[Tensor] = []
    wanted: dict[int, list[int]] = {}
    for layer, head in heads:
        wanted.setdefault(layer, []).append(head)

    def hook(layer: int) -> Any:
        def look(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            hidden = given[0] if given else named["hidden_states"]
            sound = named["key_value_states"]
            count, width = module.num_heads, module.head_dim
            query = module.q_proj(hidden)[0].view(-1, count, width).transpose(0, 1)  # [heads, L, width]
            key = module.k_proj(sound)[0].view(-1, count, width).transpose(0, 1)
            shares = (query.float() @ key.float().transpose(1, 2) * width**-0.5).softmax(-1)
            seen.extend(shares[head] for head in wanted[layer])

        return look

    handles = [decoder.layers[i].encoder_attn.register_forward_pre_hook(hook(i), with_kwargs=True) for i in wanted]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def token_times(attention: Sequence[Tensor], frames: int) -> Floats:
    """Attention of several heads, each [L, N], to the second [L] at which each row begins, within the first `frames` frames."""
    whole = torch.stack(list(attention))[..., :frames]
    whole = (whole - whole.mean(1, keepdim=True)) / (whole.std(1, keepdim=True) + 1e-6)
    side = _MEDIAN // 2
    whole = torch.nn.functional.pad(whole, (side, side), mode="replicate").unfold(-1, _MEDIAN, 1).median(-1).values
    return path_starts(whole.mean(0).cpu().numpy().astype(np.float64)) / FRAMES_HZ


def path_starts(gain: Floats) -> Floats:
    """The first column of each row on the best path through gain [L, N], from first cell to last, only to the right or one row down.

    Within the first column any number of rows may be passed, so that there may be more rows than columns.
    """
    rows, columns = gain.shape
    best = np.full(rows, -np.inf)
    came = np.zeros((columns, rows), np.int8)  # 0 from the left, 1 from the row above in the column before, 2 from above, first column only
    for n in range(columns):
        if n == 0:
            stay, step = np.full(rows, -np.inf), np.full(rows, -np.inf)
            stay[0] = 0.0
        else:
            stay, step = best, np.concatenate([[-np.inf], best[:-1]])
        came[n] = step > stay
        now = np.maximum(stay, step) + gain[:, n]
        for k in np.flatnonzero(~np.isfinite(now)) if n == 0 else ():
            now[k], came[n, k] = now[k - 1] + gain[k, n], 2
        best = now
    starts = np.zeros(rows)
    row, n = rows - 1, columns - 1
    while row >= 0 and n >= 0:
        starts[row] = n
        move = came[n, row]
        if move == 2:
            row -= 1
        else:
            row -= int(move)
            n -= 1
    return starts
